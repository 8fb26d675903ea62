//! The scenarios for [`KeyWrapper`]. Each gets two wrappers with two master keys.

use crate::{
    kernel::DataKeyId,
    ports::{
        secrets::{KeyWrapper, WrapContext},
        world::World,
    },
};
use futures_util::future::{BoxFuture, join_all};

/// A scenario: its name, and what runs it.
pub type Scenario = (&'static str, for<'a> fn(&'a dyn KeyWrapper, &'a dyn KeyWrapper) -> BoxFuture<'a, ()>);

macro_rules! scenarios {
    ($d:tt $($name:ident,)*) => {
        /// Every scenario.
        pub const ALL: &[Scenario] = &[$((stringify!($name), |one, two| Box::pin($name(one, two))),)*];

        /// Makes a `#[tokio::test]` of every scenario for [`KeyWrapper`]. Takes the name of an async function without
        /// arguments that returns two wrappers with two master keys, and anything to be dropped after the test.
        #[macro_export]
        macro_rules! wrapper_contract {
            ($d make:path) => {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let (one, two, _kept) = $d make().await;
                    $crate::contract::wrapper::$name(&one, &two).await;
                }
            )*};
        }
    };
}

scenarios! { $
    what_is_wrapped_unwraps,
    every_wrap_is_another,
    another_context_is_refused_even_when_warm,
    another_master_key_is_refused,
    every_changed_or_missing_byte_is_found,
    the_name_is_steady_and_tells_nothing,
}

const KEY: [u8; 32] = *b"thirty-two bytes nobody may see.";

fn context() -> WrapContext {
    WrapContext { org: "default".into(), data_key: World::system().id::<DataKeyId>().to_string() }
}

/// Nothing of a key in what people may read: neither the bytes nor the usual spellings.
fn shows_nothing(said: &str) {
    let spellings = [
        String::from_utf8_lossy(&KEY).into_owned(),
        data_encoding::HEXLOWER.encode(&KEY),
        data_encoding::BASE64.encode(&KEY),
        format!("{KEY:?}"),
    ];
    for spelling in spellings {
        assert!(!said.contains(&spelling), "the key shows: {said}");
    }
}

async fn refused(wrapper: &dyn KeyWrapper, wrapped: &[u8], context: &WrapContext, why: &str) {
    match wrapper.unwrap(wrapped, context).await {
        Ok(_) => panic!("{why}: it opened"),
        Err(error) => {
            assert!(!error.kind().retryable(), "{why}: trying again changes nothing: {}", error.chain());
            shows_nothing(&format!("{error} {} {error:?}", error.chain()));
        }
    }
}

/// Also many at once, and by another use of the same wrapper.
pub async fn what_is_wrapped_unwraps(one: &dyn KeyWrapper, _: &dyn KeyWrapper) {
    let all = (0..8u8).map(async |n| {
        let (key, context) = ([n; 32], context());
        let wrapped = one.wrap(&key, &context).await.unwrap();
        for _ in 0..2 {
            assert_eq!(*one.unwrap(&wrapped, &context).await.unwrap(), key);
        }
    });
    join_all(all).await;
}

/// Two wraps of one key have nothing to compare, and neither holds the key.
pub async fn every_wrap_is_another(one: &dyn KeyWrapper, _: &dyn KeyWrapper) {
    let context = context();
    let wraps = [one.wrap(&KEY, &context).await.unwrap(), one.wrap(&KEY, &context).await.unwrap()];
    assert_ne!(wraps[0], wraps[1]);
    for wrap in &wraps {
        assert!(!wrap.windows(8).any(|part| KEY.windows(8).any(|key| key == part)), "a wrap holds part of the key");
        assert!(wrap.len() < 4096, "{} bytes", wrap.len());
    }
}

/// A wrapper that has just opened the wrap for its own context still refuses it for any other.
pub async fn another_context_is_refused_even_when_warm(one: &dyn KeyWrapper, _: &dyn KeyWrapper) {
    let context = context();
    let wrapped = one.wrap(&KEY, &context).await.unwrap();
    let others = [
        WrapContext { data_key: format!("{}/mac", context.data_key), ..context.clone() },
        WrapContext { data_key: String::new(), ..context.clone() },
        WrapContext { org: "other".into(), ..context.clone() },
        WrapContext { org: format!("{}|{}", context.org, context.data_key), data_key: String::new() },
    ];
    for warm in [false, true] {
        if warm {
            assert_eq!(*one.unwrap(&wrapped, &context).await.unwrap(), KEY);
        }
        for other in &others {
            refused(one, &wrapped, other, &format!("warm {warm}, {other:?}")).await;
        }
    }
    assert_eq!(*one.unwrap(&wrapped, &context).await.unwrap(), KEY);
}

/// Whatever the other wrapper has opened before.
pub async fn another_master_key_is_refused(one: &dyn KeyWrapper, two: &dyn KeyWrapper) {
    let context = context();
    let (by_one, by_two) = (one.wrap(&KEY, &context).await.unwrap(), two.wrap(&KEY, &context).await.unwrap());
    assert_eq!(*two.unwrap(&by_two, &context).await.unwrap(), KEY);
    refused(two, &by_one, &context, "the other's wrap").await;
    refused(one, &by_two, &context, "and the other way round").await;
}

/// Also by a wrapper that has just opened it unchanged.
pub async fn every_changed_or_missing_byte_is_found(one: &dyn KeyWrapper, _: &dyn KeyWrapper) {
    let context = context();
    let wrapped = one.wrap(&KEY, &context).await.unwrap();
    assert_eq!(*one.unwrap(&wrapped, &context).await.unwrap(), KEY);
    for at in 0..wrapped.len() {
        let mut changed = wrapped.clone();
        changed[at] ^= 0x20;
        refused(one, &changed, &context, &format!("byte {at} of {}", wrapped.len())).await;
        refused(one, &wrapped[..at], &context, &format!("cut at {at} of {}", wrapped.len())).await;
    }
}

/// It is kept beside every wrap, for years.
pub async fn the_name_is_steady_and_tells_nothing(one: &dyn KeyWrapper, two: &dyn KeyWrapper) {
    let before = one.master_id();
    one.wrap(&KEY, &context()).await.unwrap();
    assert_eq!(one.master_id(), before);
    assert_ne!(before, two.master_id());
    assert!(!before.is_empty() && before.len() <= 512 && before.is_ascii());
}
