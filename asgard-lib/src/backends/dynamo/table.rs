//! The table itself: made by `asgard migrate` where nobody has, and checked against what this build needs.

use super::{DynamoStore, layout};
use crate::{
    backends::Upkeep,
    error::{Code, Error, Result},
};
use async_trait::async_trait;
use aws_sdk_dynamodb::{
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, GlobalSecondaryIndexDescription, IndexStatus,
        KeySchemaElement, KeyType, Projection, ProjectionType, ScalarAttributeType, TableDescription, TableStatus,
        TimeToLiveSpecification, TimeToLiveStatus,
    },
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// How long a table may take to be made.
const MAKING: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The attributes that keys are made of.
fn key_types() -> BTreeMap<&'static str, ScalarAttributeType> {
    let mut types = BTreeMap::from([("pk", ScalarAttributeType::S)]);
    for (_, hash, range) in layout::INDEX {
        types.extend([(hash, ScalarAttributeType::S), (range, ScalarAttributeType::B)]);
    }
    types
}

fn schema<'a>(hash: &str, range: impl Into<Option<&'a str>>) -> Result<Vec<KeySchemaElement>> {
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let mut schema = vec![key(hash, KeyType::Hash).map_err(Error::bug)?];
    if let Some(range) = range.into() {
        schema.push(key(range, KeyType::Range).map_err(Error::bug)?);
    }
    Ok(schema)
}

/// A failed call about the table, for the operator.
fn failed<E, R>(what: &str, error: SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let (code, hint) = match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some("AccessDeniedException") => (Code::Config, "The role that Asgard runs under lacks the right to."),
        Some("UnrecognizedClientException" | "InvalidSignatureException" | "MissingAuthenticationTokenException") => {
            (Code::Config, "AWS does not accept the credentials.")
        }
        Some("ValidationException") => (Code::Config, "Check the table's name."),
        Some(_) | None => (Code::StoreUnavailable, "Check the region, the network and the credentials."),
    };
    Error::new(code, format!("DynamoDB: {what} failed. {hint}")).caused_by(DisplayErrorContext(&error).to_string())
}

impl DynamoStore {
    async fn describe(&self) -> Result<Option<TableDescription>> {
        match self.client.describe_table().table_name(self.name()).send().await {
            Ok(answer) => Ok(answer.table),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => Ok(None),
            Err(error) => Err(failed("describing the table", error)),
        }
    }

    /// Makes the table. Somebody else who makes it at the same time is fine.
    async fn create(&self) -> Result<()> {
        let mut call = self
            .client
            .create_table()
            .table_name(self.name())
            .billing_mode(BillingMode::PayPerRequest)
            .deletion_protection_enabled(true)
            .set_key_schema(Some(schema("pk", None)?));
        for (name, kind) in key_types() {
            let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build();
            call = call.attribute_definitions(attribute.map_err(Error::bug)?);
        }
        for (name, hash, range) in layout::INDEX {
            let index = GlobalSecondaryIndex::builder()
                .index_name(name)
                .set_key_schema(Some(schema(hash, range)?))
                .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
                .build();
            call = call.global_secondary_indexes(index.map_err(Error::bug)?);
        }
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => Ok(()),
            Err(error) => Err(failed("creating the table", error)),
        }
    }

    /// Waits until the table and its indexes can be used.
    async fn settled(&self) -> Result<TableDescription> {
        let until = Instant::now() + MAKING;
        loop {
            if let Some(table) = self.describe().await?
                && usable(&table)
            {
                return Ok(table);
            }
            if Instant::now() > until {
                let message = format!("The table {} is still being made. Try again in a few minutes.", self.name());
                return Err(Error::new(Code::StoreUnavailable, message));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn expires(&self) -> Result<bool> {
        let answer = self.client.describe_time_to_live().table_name(self.name()).send().await;
        let ttl = answer.map_err(|error| failed("reading the table's time to live", error))?.time_to_live_description;
        Ok(ttl.is_some_and(|ttl| {
            ttl.attribute_name() == Some(layout::TTL)
                && matches!(ttl.time_to_live_status(), Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
        }))
    }

    async fn let_expire(&self) -> Result<()> {
        let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name(layout::TTL).build();
        let call = self.client.update_time_to_live().table_name(self.name());
        match call.time_to_live_specification(ttl.map_err(Error::bug)?).send().await {
            Ok(_) => Ok(()),
            // Somebody else did it just now.
            Err(_) if self.expires().await? => Ok(()),
            Err(error) => Err(failed("setting the table's time to live", error)),
        }
    }
}

fn usable(table: &TableDescription) -> bool {
    matches!(table.table_status(), Some(TableStatus::Active | TableStatus::Updating))
        && table.global_secondary_indexes().iter().all(|index| index.index_status() == Some(&IndexStatus::Active))
}

/// What is wrong with a table, if anything is.
fn fault(table: &TableDescription) -> Option<String> {
    if table.key_schema() != schema("pk", None).ok()? {
        return Some("its primary key is not the text `pk` alone".to_owned());
    }
    let types = key_types();
    for attribute in table.attribute_definitions() {
        if types.get(attribute.attribute_name()).is_some_and(|kind| kind != attribute.attribute_type()) {
            return Some(format!("its attribute {} has another type", attribute.attribute_name()));
        }
    }
    for (name, hash, range) in layout::INDEX {
        let found = table.global_secondary_indexes().iter().find(|index| index.index_name() == Some(name));
        match found {
            None => return Some(format!("it has no index {name}")),
            Some(index) if !fits(index, hash, range) => {
                return Some(format!("its index {name} is not over {hash} and {range} with keys only"));
            }
            Some(_) => {}
        }
    }
    None
}

fn fits(index: &GlobalSecondaryIndexDescription, hash: &str, range: &str) -> bool {
    let keys_only = index.projection().and_then(Projection::projection_type) == Some(&ProjectionType::KeysOnly);
    schema(hash, range).is_ok_and(|wanted| index.key_schema() == wanted) && keys_only
}

#[async_trait]
impl Upkeep for DynamoStore {
    async fn migrate(&self) -> Result<()> {
        if self.describe().await?.is_none() {
            self.create().await?;
            tracing::info!(table = self.name(), "Made the table. Point-in-time recovery is yours to turn on.");
        }
        let table = self.settled().await?;
        if let Some(fault) = fault(&table) {
            let message = format!("The table {} is not one that Asgard made: {fault}. Use another name.", self.name());
            return Err(Error::new(Code::Config, message));
        }
        if !self.expires().await? {
            self.let_expire().await?;
        }
        Ok(())
    }

    async fn check_migrated(&self) -> Result<()> {
        let hint = "Run `asgard migrate` with the same ASGARD_DATABASE_URL.";
        let Some(table) = self.describe().await? else {
            let region = self.client.config().region().map_or("the default region", |region| region.as_ref());
            return Err(Error::new(Code::Config, format!("There is no table {} in {region}. {hint}", self.name())));
        };
        if let Some(fault) = fault(&table) {
            return Err(Error::new(Code::Config, format!("The table {} cannot be used: {fault}. {hint}", self.name())));
        }
        if !usable(&table) {
            return Err(Error::new(Code::StoreUnavailable, format!("The table {} is not ready yet.", self.name())));
        }
        if !self.expires().await? {
            return Err(Error::new(Code::Config, format!("Nothing expires in the table {} yet. {hint}", self.name())));
        }
        Ok(())
    }

    async fn close(&self) {}

    fn place(&self) -> String {
        let region = self.client.config().region().map_or("", |region| region.as_ref());
        format!("DynamoDB table {} {region}", self.name()).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The template makes the table in a deployment without servers, and the two must agree.
    #[test]
    fn the_table_is_the_one_that_infra_makes() {
        let contract: Value = serde_json::from_str(include_str!("../../../../infra/contract.json")).unwrap();
        let table = &contract["table"];
        assert_eq!((&table["key"]["hash"], &table["ttl"]), (&json!(["pk", "S"]), &json!(layout::TTL)));
        let made: serde_json::Map<String, Value> = layout::INDEX
            .into_iter()
            .map(|(name, hash, range)| (name.to_owned(), json!({ "hash": [hash, "S"], "range": [range, "B"] })))
            .collect();
        assert_eq!(table["indices"], Value::Object(made));
    }
}
