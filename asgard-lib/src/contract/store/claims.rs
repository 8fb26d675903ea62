//! Names that are held by at most one owner.

use crate::{
    contract::store_fixture::{StoreFixture, claim, refusal, release},
    ports::store::{Reason, Store},
};

/// A held name is taken for everybody, its holder included, until it is released.
pub async fn a_name_has_one_holder(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    assert_eq!(fixture.holds("name").await, None);
    fixture.commit([claim("name", "ann"), claim("other", "ann")]).await;
    assert_eq!(fixture.holds("name").await.as_deref(), Some("ann"));
    for owner in ["bob", "ann"] {
        assert_eq!(fixture.try_commit([claim("name", owner)]).await, refusal(0, Reason::Taken));
    }
    fixture.commit([release("name", "ann")]).await;
    assert_eq!(fixture.holds("name").await, None);
    fixture.commit([claim("name", "bob")]).await;
    assert_eq!(fixture.holds("name").await.as_deref(), Some("bob"));
    assert_eq!(fixture.holds("other").await.as_deref(), Some("ann"));
}

/// Nobody gives up what another holds, or what nobody holds.
pub async fn only_the_holder_releases(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    assert_eq!(fixture.try_commit([release("name", "ann")]).await, refusal(0, Reason::NotHeld));
    fixture.commit([claim("name", "ann")]).await;
    assert_eq!(fixture.try_commit([release("name", "bob")]).await, refusal(0, Reason::NotHeld));
    assert_eq!(fixture.holds("name").await.as_deref(), Some("ann"));
    fixture.commit([release("name", "ann")]).await;
    assert_eq!(fixture.try_commit([release("name", "ann")]).await, refusal(0, Reason::NotHeld));
}
