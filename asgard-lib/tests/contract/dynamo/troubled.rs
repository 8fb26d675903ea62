//! The suite through a wire on which DynamoDB throttles, cancels for conflicts, loses replies, leaves keys unread and ends
//! pages early: what no emulator does by itself.

use super::{open, settings, table};
use asgard_lib::{
    backends::{DynamoStore, Upkeep},
    contract::{
        load, property,
        store_fixture::{StoreFixture, count, insert_empty, request},
    },
    kernel::DynamoTable,
    ports::store::{Op, Outcome, Store, StoreError},
};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// What goes wrong, and how often: every nth time, 0 for never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Troubles {
    throttled: u32,
    conflicts: u32,
    lost: u32,
    gateway: u32,
    unread: u32,
    page: Option<u32>,
    /// How often one batch is throttled or in conflict before it is let through: many at once would else, now and then, wear
    /// out one that is only unlucky.
    mercy: Option<u32>,
}

#[derive(Clone, Debug)]
struct Wire<C> {
    inner: C,
    troubles: Troubles,
    calls: Arc<AtomicU32>,
    /// How often each batch was struck, by its marker.
    struck: Arc<Mutex<HashMap<String, u32>>>,
    made: Arc<Mutex<Vec<String>>>,
}

impl HttpClient for Wire<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, parts);
        SharedHttpConnector::new(Wire {
            inner,
            troubles: self.troubles,
            calls: Arc::clone(&self.calls),
            struck: Arc::clone(&self.struck),
            made: Arc::clone(&self.made),
        })
    }
}

impl<C> Wire<C> {
    /// Whether a call that is to be struck is spared after all.
    fn spares(&self, body: &Value) -> bool {
        let marker = &body["TransactItems"][0]["Put"]["Item"]["pk"]["S"];
        let (Some(mercy), Some(marker)) = (self.troubles.mercy, marker.as_str()) else { return false };
        let mut struck = self.struck.lock().unwrap();
        let times = struck.entry(marker.to_owned()).or_default();
        *times += 1;
        *times > mercy
    }
}

fn answer(status: u16, body: &Value) -> HttpConnectorFuture {
    let response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body.to_string()));
    HttpConnectorFuture::ready(Ok(response))
}

fn error(kind: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{kind}"), "message": "trouble" })
}

impl HttpConnector for Wire<SharedHttpConnector> {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let strikes = |nth: u32| nth != 0 && number.is_multiple_of(nth);
        let target = request.headers().get("x-amz-target").unwrap_or_default().rsplit('.').next().unwrap().to_owned();
        self.made.lock().unwrap().push(target.clone());
        let mut body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        if strikes(self.troubles.throttled) && !self.spares(&body) {
            return answer(400, &error("ProvisionedThroughputExceededException"));
        }
        if target == "TransactWriteItems" && strikes(self.troubles.conflicts) && !self.spares(&body) {
            let mut canceled = error("TransactionCanceledException");
            let items = body["TransactItems"].as_array().unwrap().len();
            let reasons: Vec<Value> = (0..items)
                .map(|at| json!({ "Code": if at + 1 == items { "TransactionConflict" } else { "None" } }))
                .collect();
            canceled["CancellationReasons"] = reasons.into();
            return answer(400, &canceled);
        }
        if target == "BatchGetItem" && strikes(self.troubles.unread) {
            return answer(200, &json!({ "Responses": {}, "UnprocessedKeys": body["RequestItems"] }));
        }
        if let ("Query", Some(page)) = (target.as_str(), self.troubles.page) {
            body["Limit"] = body["Limit"].as_u64().map_or(page, |limit| page.min(u32::try_from(limit).unwrap())).into();
            let text = body.to_string();
            request.headers_mut().insert("content-length", text.len().to_string());
            *request.body_mut() = SdkBody::from(text);
        }
        let call = self.inner.call(request);
        let lost = target == "TransactWriteItems" && strikes(self.troubles.lost);
        let gateway = strikes(self.troubles.gateway);
        HttpConnectorFuture::new(async move {
            let answered = call.await;
            if lost {
                return Err(ConnectorError::io("the connection broke".into()));
            }
            if gateway {
                let page = SdkBody::from("<html><h1>502 Bad Gateway</h1></html>");
                return Ok(HttpResponse::new(StatusCode::try_from(502).unwrap(), page));
            }
            answered
        })
    }
}

/// A store on such a wire, which tries nothing again by itself: the SDK's own retries would hide the backend's.
fn through(troubles: Troubles, table: DynamoTable) -> DynamoStore {
    watched(troubles, table).0
}

/// The same, and the operations that were asked for, in order.
pub fn watched(troubles: Troubles, table: DynamoTable) -> (DynamoStore, Arc<Mutex<Vec<String>>>) {
    with_retries(RetryConfig::disabled(), troubles, table)
}

fn with_retries(
    retries: RetryConfig,
    troubles: Troubles,
    table: DynamoTable,
) -> (DynamoStore, Arc<Mutex<Vec<String>>>) {
    let made = Arc::default();
    let inner = aws_smithy_http_client::Builder::new().build_http();
    let wire = Wire { inner, troubles, calls: Arc::default(), struck: Arc::default(), made: Arc::clone(&made) };
    let config = settings(&table).retry_config(retries).http_client(wire);
    (DynamoStore::with(aws_sdk_dynamodb::Client::from_conf(config.build()), table), made)
}

async fn made(troubles: Troubles) -> (DynamoStore, ()) {
    let table = table();
    open(table.clone()).migrate().await.unwrap();
    (through(troubles, table), ())
}

mod throttled_and_in_conflict {
    use super::*;

    async fn fresh() -> (DynamoStore, ()) {
        let troubles =
            Troubles { throttled: 7, conflicts: 5, unread: 3, page: Some(2), mercy: Some(4), ..Troubles::default() };
        made(troubles).await
    }

    asgard_lib::store_contract!(fresh);
    asgard_lib::blobs_contract!(fresh);

    #[test]
    fn random_histories_agree_with_the_model() {
        property::agrees_with_the_model(fresh, 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_keep_every_rule_while_replies_are_lost() {
    let (store, ()) =
        made(Troubles { throttled: 11, conflicts: 7, lost: 4, page: Some(3), mercy: Some(4), ..Troubles::default() })
            .await;
    assert!(load::workers_keep_every_rule(store, 8, Duration::from_secs(3)).await > 20);
}

/// Whatever happens on the wire after a commit was sent, the store does not say that nothing happened.
#[tokio::test]
async fn a_lost_reply_leaves_the_outcome_open_and_asking_again_tells() {
    let (store, ()) = made(Troubles { lost: 1, ..Troubles::default() }).await;
    let fixture = StoreFixture::new(&store);
    let batch = fixture.batch([insert_empty(&request("r")), Op::Count(count("n", 1))]);
    assert!(matches!(store.commit(&batch).await, Err(StoreError::Unknown(_))));
    assert_eq!(fixture.shows("n").await, 1);
    // The marker says so over a wire that works.
    let (calm, ()) = (through(Troubles::default(), store.table().clone()), ());
    assert_eq!(calm.commit(&batch).await.unwrap(), Outcome::Committed);
    assert_eq!(StoreFixture::new(&calm).shows("n").await, 1);
}

/// Nor does it when the SDK would try again by itself and only show how the last attempt failed.
#[tokio::test]
async fn a_lost_reply_is_not_forgotten_over_a_later_refusal() {
    let table = made(Troubles::default()).await.0.table().clone();
    let retries = RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(1));
    let (store, _) = with_retries(retries, Troubles { lost: 1, throttled: 2, ..Troubles::default() }, table);
    let fixture = StoreFixture::new(&store);
    let error = store.commit(&fixture.batch([insert_empty(&request("r"))])).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_)), "{error}");
}

/// What stands before DynamoDB may answer with a page of its own, which is no verdict on the request.
#[tokio::test]
async fn a_page_of_a_gateway_leaves_the_outcome_open() {
    let (store, ()) = made(Troubles { gateway: 1, ..Troubles::default() }).await;
    let fixture = StoreFixture::new(&store);
    let error = store.commit(&fixture.batch([insert_empty(&request("r"))])).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_)), "{error}");
    assert!(matches!(store.get_many(&[request("r")]).await, Err(StoreError::Unavailable(_))));
}

/// Throttling that does not end is said in the end, and nothing was done.
#[tokio::test]
async fn throttling_without_end_is_unavailable() {
    let (store, ()) = made(Troubles { throttled: 1, ..Troubles::default() }).await;
    let fixture = StoreFixture::new(&store);
    let error = store.commit(&fixture.batch([insert_empty(&request("r"))])).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(matches!(store.get_many(&[request("r")]).await, Err(StoreError::Unavailable(_))));
}
