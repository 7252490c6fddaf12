//! Errors whose number alone does not say what happened.

use pool_core::Manager;
use pool_mysql::{Cause, MySqlManager};
use pool_servers::MySql;

use crate::errors::failure;
use crate::soon;

#[tokio::test]
async fn a_file_that_may_not_be_written_is_not_told_as_a_server_that_takes_no_writes() {
    let server = MySql::new().setting("secure-file-priv", "/tmp");
    let server = server.start_async().await.unwrap();
    let manager = MySqlManager::from_url(&server.url()).unwrap();
    let mut conn = soon(manager.connect()).await.unwrap();
    let error = failure(&mut conn, "SELECT 1 INTO OUTFILE '/not/there'").await;
    assert_eq!(error.code(), Some(1290), "{error}");
    assert_eq!(error.cause(), Cause::Other, "{error}");
    assert!(!error.is_transient());
}
