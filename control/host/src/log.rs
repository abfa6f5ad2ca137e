//! Standard output and error of guests, as log lines.

use crate::limits::MAX_LOG_LINE_BYTES;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// Which of the two streams.
#[derive(Clone, Copy)]
pub(crate) enum GuestOutput {
    Stdout,
    Stderr,
}

/// One output stream of one instance.
#[derive(Clone, Copy)]
pub(crate) struct GuestLog {
    pub(crate) instance: u64,
    pub(crate) output: GuestOutput,
}

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Lines { log: *self, line: Vec::new() })
    }
}

/// Cuts what is written into lines.
struct Lines {
    log: GuestLog,
    line: Vec<u8>,
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = MAX_LOG_LINE_BYTES - self.line.len();
            let window = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
            let end = window.iter().position(|byte| *byte == b'\n');
            let (line, rest) = bytes.split_at(end.unwrap_or(window.len()));
            self.line.extend_from_slice(line);
            if end.is_some() || self.line.len() == MAX_LOG_LINE_BYTES {
                self.emit();
            }
            bytes = if end.is_some() { rest.get(1..).unwrap_or_default() } else { rest };
        }
    }

    fn emit(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let line = String::from_utf8_lossy(&self.line);
        let instance = self.log.instance;
        match self.log.output {
            GuestOutput::Stdout => tracing::info!(target: "edge", instance, "{line}"),
            GuestOutput::Stderr => tracing::warn!(target: "edge", instance, "{line}"),
        }
        self.line.clear();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.emit();
    }
}

impl AsyncWrite for Lines {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_never_grows_past_its_limit() {
        let log = GuestLog { instance: 1, output: GuestOutput::Stdout };
        let mut lines = Lines { log, line: Vec::new() };
        lines.push(&vec![b'x'; 3 * MAX_LOG_LINE_BYTES + 5]);
        assert_eq!(lines.line.len(), 5);
        lines.push(b"yz\nnext");
        assert_eq!(lines.line, b"next");
        lines.push(b"\n\n");
        assert!(lines.line.is_empty());
    }
}
