//! What Asgard is compared with: an axum server and an rmcp server that do nothing else. Prints its address and serves
//! until it is killed.

use axum::{Json, Router, routing::get};
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
use std::sync::Arc;

#[derive(Clone)]
struct Bare;

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
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(CallToolResult::structured(answer()).into())
    }
}

/// About as large as what Asgard answers to the calls that it is compared in.
fn answer() -> Value {
    json!({"items": [{"id": "local-demo", "title": "Local demo", "description": "A stand-in for a real service that creates nothing.",
        "cloud": "local", "approval": "by_input", "inputs": ["seconds", "fail_at", "approval", "monthly_usd"]}]})
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let mcp = StreamableHttpService::new(|| Ok(Bare), Arc::new(NeverSessionManager::default()), config);
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/json", get(|| async { Json(answer()) }))
        .route_service("/mcp", mcp);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    #[allow(clippy::print_stdout, reason = "the address is this program's answer")]
    {
        println!("{}", listener.local_addr()?);
    }
    axum::serve(axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true))), router).await
}
