//! Programs to start from; see the `examples` folder of this package.
#![forbid(unsafe_code)]
