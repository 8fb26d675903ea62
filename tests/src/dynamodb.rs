//! A table of DynamoDB as the emulator has it, over its plain HTTP: everything that is in it, and nothing of Asgard's client.

use data_encoding::BASE64;
use serde_json::{Value, json};

/// One call. The emulator wants a signature and does not check it.
fn call(endpoint: &str, operation: &str, body: &Value) -> Result<Value, Box<dyn std::error::Error>> {
    let credential =
        "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
    let text = ureq::post(endpoint)
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-date", "20260101T000000Z")
        .header("authorization", credential)
        .send(body.to_string())?
        .body_mut()
        .with_config()
        .limit(64 << 20)
        .read_to_string()?;
    Ok(serde_json::from_str(&text)?)
}

/// Every item of a table as text, with bytes as they are.
pub fn dump(endpoint: &str, table: &str) -> Vec<u8> {
    let (mut bytes, mut start) = (Vec::new(), Value::Null);
    loop {
        let mut scan = json!({ "TableName": table });
        if !start.is_null() {
            scan["ExclusiveStartKey"] = start;
        }
        // There is no table before the first start.
        let Ok(page) = call(endpoint, "Scan", &scan) else { return bytes };
        for item in page["Items"].as_array().into_iter().flatten() {
            for (name, attribute) in item.as_object().into_iter().flatten() {
                bytes.extend_from_slice(name.as_bytes());
                bytes.push(b'=');
                match attribute["B"].as_str() {
                    Some(encoded) => bytes.extend(BASE64.decode(encoded.as_bytes()).expect("base64")),
                    None => bytes.extend_from_slice(
                        attribute["S"].as_str().or_else(|| attribute["N"].as_str()).unwrap_or_default().as_bytes(),
                    ),
                }
                bytes.push(b'\n');
            }
        }
        start = page["LastEvaluatedKey"].clone();
        if start.is_null() {
            return bytes;
        }
    }
}

/// Deletes a table, if it is there.
pub fn drop_table(endpoint: &str, table: &str) {
    let open = json!({ "TableName": table, "DeletionProtectionEnabled": false });
    let _ = call(endpoint, "UpdateTable", &open);
    let _ = call(endpoint, "DeleteTable", &json!({ "TableName": table }));
}
