#[derive(Debug)] pub struct Connect;
