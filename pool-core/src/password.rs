//! Passwords that are asked for at each connect.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Asked for the password before each connect: for credentials that rotate.
///
/// For managers whose server wants one; the pool itself never sees a password.
#[derive(Clone)]
pub struct PasswordProvider(Arc<dyn Fn() -> PasswordFuture + Send + Sync>);

type PasswordFuture = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>;
type BoxError = Box<dyn Error + Send + Sync>;

impl PasswordProvider {
    /// A provider that runs `provide` each time it is asked.
    pub fn new<F, Fut, E>(provide: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self(Arc::new(move || {
            let password = provide();
            Box::pin(async move { password.await.map_err(Into::into) })
        }))
    }

    /// The password of now.
    ///
    /// # Errors
    ///
    /// When the provider has none; as it says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the provider's: it is as safe as that is. A pool does so when a
    /// connect takes longer than it may, or when it is closed.
    pub async fn ask(&self) -> Result<String, BoxError> {
        (self.0)().await
    }
}

impl fmt::Debug for PasswordProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordProvider")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::PasswordProvider;

    #[tokio::test]
    async fn each_time_the_password_of_now_is_given_or_why_there_is_none() {
        let asked = AtomicU32::new(0);
        let provider = PasswordProvider::new(move || {
            let time = asked.fetch_add(1, Relaxed);
            async move {
                match time {
                    0 | 1 => Ok(format!("secret {time}")),
                    _ => Err("no more"),
                }
            }
        });
        assert_eq!(provider.ask().await.unwrap(), "secret 0");
        assert_eq!(provider.ask().await.unwrap(), "secret 1");
        assert_eq!(provider.ask().await.unwrap_err().to_string(), "no more");
        assert_eq!(format!("{provider:?}"), "PasswordProvider");
    }
}
