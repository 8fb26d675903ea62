//! Lists come in pages: the two fields that every list's command has, and the one way from them to a page.

use crate::{
    app::Asgard,
    error::{Code, Error, Result},
    kernel::{Cursor, Limit, Page},
    ports::{
        records::{Entity, Listed, Records, Stored},
        store::{Position, Query},
    },
};

/// Where a client is in a list, and how much of it is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Paging<'a> {
    /// Where the page starts; without one, where the list does.
    pub cursor: Option<&'a Cursor>,
    /// How many items the page holds at most.
    pub limit: Limit,
}

/// Declares the command of a list: its own fields, and those that every list has. They are not a flattened struct, because
/// serde refuses unknown fields by name only in a struct that has none.
macro_rules! list_command {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$of_field:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[builder(field_defaults(setter(into)))]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$of_field])* pub $field: $type,)*
            /// The `next_cursor` of the page before; leave it out for the first page.
            #[serde(default)]
            #[builder(default)]
            pub cursor: Option<$crate::kernel::Cursor>,
            /// How many items the page holds at most: 1 to 200, 50 unless told.
            #[serde(default)]
            #[builder(default)]
            pub limit: $crate::kernel::Limit,
        }

        impl $name {
            fn paging(&self) -> $crate::app::core::list::Paging<'_> {
                $crate::app::core::list::Paging { cursor: self.cursor.as_ref(), limit: self.limit }
            }
        }
    };
}
pub(crate) use list_command;

impl Asgard {
    /// A page of an index for clients. `list` says which list it is: a cursor of another list is refused. What `view` answers
    /// with `None` is left out.
    pub async fn page<T: Entity, U>(
        &self,
        list: &str,
        paging: Paging<'_>,
        query: Query,
        view: impl FnMut(Stored<T>) -> Option<U>,
    ) -> Result<Page<U>> {
        let found = |after, limit| async move { self.store().list::<T>(&query.after(after).take(limit)).await };
        self.page_by(list, paging, found, view).await
    }

    /// The same where finding the records takes more than an index: `found` is told where to go on and how many are wanted.
    pub async fn page_by<T, U, F: Future<Output = Result<Listed<T>>>>(
        &self,
        list: &str,
        paging: Paging<'_>,
        found: impl FnOnce(Option<Position>, usize) -> F,
        view: impl FnMut(Stored<T>) -> Option<U>,
    ) -> Result<Page<U>> {
        let after = self.position(list, paging.cursor).await?;
        let Listed { items, next } = found(after, paging.limit.get()).await?;
        Ok(Page { items: items.into_iter().filter_map(view).collect(), next_cursor: self.cursor(list, next.as_ref())? })
    }

    /// Reads a cursor that [`Asgard::cursor`] made for the same list.
    async fn position(&self, list: &str, cursor: Option<&Cursor>) -> Result<Option<Position>> {
        let Some(cursor) = cursor else { return Ok(None) };
        let invalid = || {
            Error::new(Code::InvalidCursor, "Start the list again without a cursor; this one is not of this list.")
                .at("cursor")
        };
        if cursor.0.len() > 1000 {
            return Err(invalid());
        }
        let plain = self.sealer().open_token(&format!("cursor/{list}"), &cursor.0).await?.ok_or_else(invalid)?;
        serde_json::from_slice(&plain).map(Some).map_err(|_| invalid())
    }

    /// Seals a position of a list.
    fn cursor(&self, list: &str, position: Option<&Position>) -> Result<Option<Cursor>> {
        let seal = |position: &Position| {
            let plain = serde_json::to_vec(position).map_err(Error::bug)?;
            self.sealer().seal_token(&format!("cursor/{list}"), &plain).map(Cursor)
        };
        position.map(seal).transpose()
    }
}
