pub use self::connects::Connect; mod connects;
#[derive(Debug)] pub struct FaultProxy;
