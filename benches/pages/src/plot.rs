//! Lines in a plane, as inline SVG.
//!
//! The drawing is that of `plotters`. Around it stands what it lacks: a title and a description for
//! who cannot see it, and a legend in HTML, whose text keeps its size when the plot shrinks. Each
//! line has a colour of `PALETTE` in the SVG itself; the style of the page gives it another one in
//! the dark, and a pattern of dashes, so that colour is not all that tells two lines apart.

use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;

use crate::axis::Axis;

/// The drawing's own units: plotters rounds to whole ones, so there are more than pixels.
const SIZE: (u32, u32) = (960, 540);
const FONT: u32 = 30;
const LINE: u32 = 5;

/// The colours of the lines, in this order, on a light page.
const PALETTE: [RGBColor; 3] = [
    RGBColor(0x0B, 0x5C, 0xAD),
    RGBColor(0xB3, 0x4A, 0x00),
    RGBColor(0x1B, 0x76, 0x3B),
];

/// Lines in a plane.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Unique on its page.
    pub id: String,
    /// What is shown.
    pub title: String,
    /// The same in a sentence with figures, for who cannot see it.
    pub description: String,
    /// The axis to the right.
    pub x: Axis,
    /// The axis upwards.
    pub y: Axis,
    /// At most three.
    pub lines: Vec<Line>,
}

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it shows.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// The drawing failed: an axis has no length or no finite end.
#[derive(Debug, thiserror::Error)]
#[error("the plot `{title}` cannot be drawn: {reason}")]
pub struct NotDrawn {
    title: String,
    reason: String,
}

impl Plot {
    /// The plot with its legend.
    ///
    /// # Errors
    ///
    /// When plotters refuses an axis.
    pub fn markup(&self) -> Result<Markup, NotDrawn> {
        let drawing = self.drawing().map_err(|error| NotDrawn {
            title: self.title.clone(),
            reason: error.to_string(),
        })?;
        let (title, description) = (format!("{}-title", self.id), format!("{}-text", self.id));
        Ok(html! {
            figure {
                figcaption { (self.title) }
                svg.plot viewBox=(format!("0 0 {} {}", SIZE.0, SIZE.1)) role="img"
                    aria-labelledby=(format!("{title} {description}")) {
                    title id=(title) { (self.title) }
                    desc id=(description) { (self.description) }
                    (PreEscaped(inner(&drawing)))
                }
                @if self.lines.len() > 1 { (self.legend()) }
            }
        })
    }

    fn legend(&self) -> Markup {
        html! {
            ul.legend aria-hidden="true" {
                @for (line, colour) in self.lines.iter().zip(PALETTE) {
                    li {
                        svg viewBox="0 0 60 12" {
                            line x1="0" y1="6" x2="60" y2="6" stroke=(hex(colour)) stroke-width=(LINE) {}
                        }
                        (line.name)
                    }
                }
            }
        }
    }

    fn drawing(&self) -> Result<String, Box<dyn std::error::Error>> {
        let mut drawing = String::new();
        {
            let root = SVGBackend::with_string(&mut drawing, SIZE).into_drawing_area();
            let (x, y) = (&self.x, &self.y);
            let mut chart = ChartBuilder::on(&root)
                .margin(FONT / 2)
                .margin_right(FONT * 2)
                .x_label_area_size(FONT * 3)
                .y_label_area_size(FONT * 5)
                .build_cartesian_2d(x.clone(), y.clone())?;
            chart
                .configure_mesh()
                .max_light_lines(0)
                .label_style(("sans-serif", FONT))
                .x_desc(x.name())
                .y_desc(y.name())
                .draw()?;
            for (line, colour) in self.lines.iter().zip(PALETTE) {
                let points = line.points.iter().copied();
                chart.draw_series(LineSeries::new(points, colour.stroke_width(LINE)))?;
            }
            root.present()?;
        }
        Ok(drawing)
    }
}

/// What stands between the tags of the drawing.
fn inner(drawing: &str) -> &str {
    let start = drawing.find('>').map_or(0, |end| end + 1);
    let end = drawing.rfind("</svg>").unwrap_or(drawing.len());
    drawing.get(start..end).unwrap_or_default()
}

fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(text: &str) -> Plot {
        let line = Line {
            name: text.to_owned(),
            points: vec![(0.0, 1.0), (1.0, 3.0)],
        };
        Plot {
            id: "p".to_owned(),
            title: text.to_owned(),
            description: text.to_owned(),
            x: Axis::from_zero(text, 1.0, |_| text.to_owned()),
            y: Axis::powers_of_ten(text, 5.0, 900.0, |_| text.to_owned()),
            lines: vec![line.clone(), line],
        }
    }

    #[test]
    fn a_plot_is_well_formed_and_its_text_is_escaped() {
        let html = plot("<i>\"&'</i>").markup().unwrap().into_string();
        assert!(!html.contains("<i>"), "{html}");
        let document = roxmltree::Document::parse(&html).unwrap();
        let svg = document
            .descendants()
            .find(|node| node.attribute("role") == Some("img"))
            .unwrap();
        assert_eq!(svg.attribute("aria-labelledby"), Some("p-title p-text"));
        let names: Vec<_> = svg.children().map(|node| node.tag_name().name()).collect();
        assert_eq!(names[..2], ["title", "desc"]);
        assert!(names.contains(&"polyline"), "{names:?}");
    }

    #[test]
    fn the_style_knows_every_colour_of_a_line() {
        for colour in PALETTE {
            let selector = format!("[stroke=\"{}\"]", hex(colour));
            assert!(include_str!("style.css").contains(&selector), "{selector}");
        }
    }
}
