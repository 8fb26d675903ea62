//! What Asgard is compared with: an axum server and an rmcp server that do nothing but give answers which they were handed.
//! Takes a file of answers by name, prints its address and serves until it is killed.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ListToolsResult, PaginatedRequestParams,
        ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, io, sync::Arc};

type Answers = Arc<BTreeMap<String, Value>>;

#[derive(Clone)]
struct Bare(Answers);

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = json!({"type": "object"}).as_object().cloned().unwrap_or_default();
        Ok(ListToolsResult::with_all_items(vec![Tool::new("answer", "Answers.", Arc::new(schema))]))
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let answer = self.0.get(call.name.as_ref()).cloned().unwrap_or_default();
        Ok(CallToolResult::structured(answer).into())
    }
}

async fn answer(State(answers): State<Answers>, Path(name): Path<String>) -> Response {
    Json(answers.get(&name)).into_response()
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let file = std::env::args().nth(1).ok_or_else(|| io::Error::other("name the file of answers"))?;
    let answers: Answers = Arc::new(serde_json::from_slice(&std::fs::read(file)?).map_err(io::Error::other)?);
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let bare = Bare(Arc::clone(&answers));
    let mcp = StreamableHttpService::new(move || Ok(bare.clone()), Arc::new(NeverSessionManager::default()), config);
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/json/{name}", get(answer))
        .route_service("/mcp", mcp)
        .with_state(answers);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    #[allow(clippy::print_stdout, reason = "the address is this program's answer")]
    {
        println!("{}", listener.local_addr()?);
    }
    axum::serve(axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true))), router).await
}
