use super::{reach, *};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A server that gives one answer to everybody. Its address, and how many have come.
async fn server(answer: &'static str) -> (String, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let came = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let mut asked = vec![0; 4096];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, came)
}

#[test]
fn addresses_of_no_public_network_are_known() {
    for special in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.31.255.255",
        "192.168.0.1",
        "198.19.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "2002:7f00:1::",
        "100::1",
    ] {
        assert!(!reach::is_public(special.parse().unwrap()), "{special}");
    }
    for public in
        ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"]
    {
        assert!(reach::is_public(public.parse().unwrap()), "{public}");
    }
}

#[tokio::test]
async fn what_a_stranger_names_never_leads_inside() {
    let (inside, came) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let port = inside.rsplit(':').next().unwrap().to_owned();
    let web = Web::new().unwrap();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://127.1:{port}/"),
        format!("https://0x7f000001:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://10.0.0.1/".to_owned(),
        "https://user:pass@1.1.1.1/".to_owned(),
        "http://1.1.1.1/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ftp://1.1.1.1/".to_owned(),
        "not a url".to_owned(),
    ] {
        let error = web.send(WebRequest::get(url.clone(), Reach::Public)).await.unwrap_err();
        assert!(matches!(error, WebError::Refused(_)), "{url}: {error:?}");
    }
    assert_eq!(came.load(std::sync::atomic::Ordering::SeqCst), 0, "something inside was asked");
    // Where Asgard itself is on loopback only, what is there may be named too, and nothing else inside.
    let answer = web.send(WebRequest::get(format!("{inside}/x"), Reach::PublicOrLoopback)).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"{}".as_slice()));
    let error = web.send(WebRequest::get("https://10.0.0.1/", Reach::PublicOrLoopback)).await.unwrap_err();
    assert!(matches!(error, WebError::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn redirects_are_answers_and_answers_are_bounded() {
    let web = Web::new().unwrap();
    let (moved, came) =
        server("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
    let answer = web.send(WebRequest::get(&moved, Reach::Configured)).await.unwrap();
    assert_eq!((answer.status, came.load(std::sync::atomic::Ordering::SeqCst)), (302, 1));

    let (large, _) = server("HTTP/1.1 200 OK\r\ncontent-type: Application/JSON; charset=utf-8\r\n\r\n0123456789").await;
    let asked = WebRequest { max_bytes: 9, ..WebRequest::get(&large, Reach::Configured) };
    assert_eq!(web.send(asked).await.unwrap_err(), WebError::TooLarge(9));

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/?code=s3cret", silent.local_addr().unwrap());
    let asked = WebRequest { timeout: Duration::from_millis(50), ..WebRequest::get(&address, Reach::Configured) };
    assert_eq!(web.send(asked).await.unwrap_err(), WebError::TimedOut);
    drop(silent);
    let error = web.send(WebRequest::get(&address, Reach::Configured)).await.unwrap_err();
    assert!(matches!(error, WebError::Unreachable(_)), "{error:?}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[tokio::test]
async fn plain_http_is_for_this_machine_only() {
    let error = Web::new().unwrap().send(WebRequest::get("http://idp.example/", Reach::Configured)).await.unwrap_err();
    assert_eq!(error, WebError::Refused("http is only for this machine; use https".to_owned()));
}
