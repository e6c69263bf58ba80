//! A connection, plain or TLS.
//!
//! The certificate is not looked at: the question here is what becomes of requests, and services under test have certificates
//! of their own making.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

/// Reads and writes come back after [`super::target::SLICE`] at the latest.
pub enum Wire {
    /// HTTP.
    Plain(TcpStream),
    /// HTTPS.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    /// Shakes hands over `socket`, until `limit` at the latest.
    pub fn tls(socket: TcpStream, host: &str, limit: Instant) -> io::Result<Wire> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(config()?, name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            match stream.conn.complete_io(&mut stream.sock) {
                Ok(_) => {}
                Err(e) if is_a_slice(&e) && Instant::now() < limit => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Wire::Tls(Box::new(stream)))
    }

    /// The socket underneath.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Wire::Plain(socket) => socket,
            Wire::Tls(stream) => &stream.sock,
        }
    }

    /// Has the peer given an idle connection up? Looks without waiting. Bytes nobody asked for (a 408 before closing, say)
    /// count as well: the connection is of no use any more.
    pub fn peer_gave_up(&mut self) -> bool {
        match self {
            Wire::Plain(socket) => plain_gave_up(socket),
            Wire::Tls(stream) => {
                // Not a peek: what TLS itself sends between requests (session tickets) has to be taken.
                if stream.sock.set_nonblocking(true).is_err() {
                    return true;
                }
                let idle = matches!(stream.read(&mut [0; 1]), Err(e) if e.kind() == ErrorKind::WouldBlock);
                stream.sock.set_nonblocking(false).is_err() || !idle
            }
        }
    }
}

fn is_a_slice(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn plain_gave_up(socket: &TcpStream) -> bool {
    let mut byte = 0_u8;
    loop {
        // SAFETY: the descriptor is open (borrowed from a live stream) and the buffer is one writable byte.
        let n = unsafe { libc::recv(socket.as_raw_fd(), (&raw mut byte).cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
        if n >= 0 {
            return true;
        }
        match io::Error::last_os_error().kind() {
            ErrorKind::Interrupted => {}
            ErrorKind::WouldBlock => return false,
            _ => return true,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(socket) => socket.read(buffer),
            Wire::Tls(stream) => match stream.read(buffer) {
                // Closed without TLS's own farewell: HTTP says by itself where an answer ends.
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(0),
                other => other,
            },
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(socket) => socket.write(bytes),
            Wire::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(socket) => socket.flush(),
            Wire::Tls(stream) => stream.flush(),
        }
    }
}

fn config() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(made) = CONFIG.get() {
        return Ok(Arc::clone(made));
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let any = Arc::new(AnyCertificate(provider));
    let mut made = builder.dangerous().with_custom_certificate_verifier(any).with_no_client_auth();
    made.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(made))))
}

/// Takes every certificate; that the peer has its key is still proven.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn looking_sees_an_open_a_closed_and_a_talking_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let pair = || {
            let ours = TcpStream::connect(addr).unwrap();
            (Wire::Plain(ours), listener.accept().unwrap().0)
        };
        let wait_until_given_up = |stream: &mut Wire| {
            let limit = Instant::now() + Duration::from_secs(10);
            while !stream.peer_gave_up() {
                assert!(Instant::now() < limit, "never seen");
                thread::yield_now();
            }
        };
        let (mut ours, theirs) = pair();
        assert!(!ours.peer_gave_up());
        drop(theirs);
        wait_until_given_up(&mut ours);
        let (mut ours, mut theirs) = pair();
        theirs.write_all(b"x").unwrap();
        wait_until_given_up(&mut ours);
    }
}
