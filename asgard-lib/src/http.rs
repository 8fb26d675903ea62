//! The HTTP surfaces: REST, MCP, dashboard.
