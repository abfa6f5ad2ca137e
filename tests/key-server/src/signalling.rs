//! What each system says about a key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::request::uuid;
use crate::systems::{Child, System};

/// A key that something is said about.
pub struct Subject<'a> {
    pub kid: [u8; 16],
    pub scheme: &'a str,
    pub one: bool,
}

impl Subject<'_> {
    /// The base64 text of a child.
    pub fn text(&self, system: System, child: Child) -> String {
        let one = |tag: &str| STANDARD.encode(self.line(system, tag));
        match child {
            Child::Pssh => STANDARD.encode(self.pssh(system)),
            Child::ContentProtection => STANDARD.encode(self.content_protection(system)),
            Child::HlsMedia => one("#EXT-X-KEY:"),
            Child::HlsMultivariant => one("#EXT-X-SESSION-KEY:"),
            Child::Smooth | Child::ProtectionHeader => STANDARD.encode(self.playready_object()),
            Child::Uri => STANDARD.encode(self.uri(system)),
            Child::KeyFormat => STANDARD.encode(self.key_format(system)),
            Child::KeyFormatVersions => STANDARD.encode("1"),
        }
    }

    pub fn pssh(&self, system: System) -> Vec<u8> {
        let (version, data) = match system {
            System::PlayReady => (0, self.playready_object()),
            System::ClearKey => (1, Vec::new()),
            // Field 2 (key id), 16 bytes; field 3 (provider).
            _ => (0, [[0x12, 0x10].as_slice(), &self.kid, &[0x1a, 4], b"mock"].concat()),
        };
        let mut body = vec![version, 0, 0, 0];
        let id = u128::from_str_radix(&system.id(self.one).replace('-', ""), 16).unwrap_or_default();
        body.extend(id.to_be_bytes());
        if version == 1 {
            body.extend([0, 0, 0, 1]);
            body.extend(self.kid);
        }
        body.extend((data.len() as u32).to_be_bytes());
        body.extend(data);
        [(body.len() as u32 + 8).to_be_bytes().as_slice(), b"pssh", &body].concat()
    }

    /// A PlayReady object with one header.
    fn playready_object(&self) -> Vec<u8> {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.kid;
        let guid = [[d, c, b, a, f, e, h, g], rest].concat();
        let kid = STANDARD.encode(guid);
        let header = if self.scheme == "cbcs" {
            format!(
                "<WRMHEADER xmlns=\"http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader\" version=\"4.3.0.0\"><DATA>\
                 <PROTECTINFO><KIDS><KID ALGID=\"AESCBC\" VALUE=\"{kid}\"></KID></KIDS></PROTECTINFO></DATA></WRMHEADER>"
            )
        } else {
            format!(
                "<WRMHEADER xmlns=\"http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader\" version=\"4.0.0.0\"><DATA>\
                 <PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>AESCTR</ALGID></PROTECTINFO><KID>{kid}</KID></DATA></WRMHEADER>"
            )
        };
        let header: Vec<u8> = header.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = (header.len() as u16).to_le_bytes();
        let size = (header.len() as u32 + 10).to_le_bytes();
        [size.as_slice(), &[1, 0, 1, 0], &length, &header].concat()
    }

    fn content_protection(&self, system: System) -> String {
        let pssh = STANDARD.encode(self.pssh(system));
        let mut text = format!("<pssh xmlns=\"urn:mpeg:cenc:2013\">{pssh}</pssh>");
        if system == System::PlayReady {
            let object = STANDARD.encode(self.playready_object());
            text += &format!("<pro xmlns=\"urn:microsoft:playready\">{object}</pro>");
        }
        text
    }

    fn key_format(&self, system: System) -> &'static str {
        match system {
            System::Widevine => "urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed",
            System::PlayReady => "com.microsoft.playready",
            System::FairPlay => "com.apple.streamingkeydelivery",
            System::ClearKey | System::Aes128 | System::SampleAes => "identity",
        }
    }

    fn uri(&self, system: System) -> String {
        match system {
            System::Widevine => format!("data:text/plain;base64,{}", STANDARD.encode(self.pssh(system))),
            System::PlayReady => {
                format!("data:text/plain;charset=UTF-16;base64,{}", STANDARD.encode(self.playready_object()))
            }
            System::FairPlay => format!("skd://{}", uuid(&self.kid)),
            System::ClearKey | System::Aes128 | System::SampleAes => {
                format!("https://keys.example/{}", uuid(&self.kid))
            }
        }
    }

    fn line(&self, system: System, tag: &str) -> String {
        let method = match (system, self.scheme) {
            (System::Aes128, _) => "AES-128",
            (_, "cenc" | "cens" | "SAMPLE-AES-CTR") => "SAMPLE-AES-CTR",
            _ => "SAMPLE-AES",
        };
        let key_id = match system {
            System::Widevine => format!("KEYID=0x{:032x},", u128::from_be_bytes(self.kid)),
            _ => String::new(),
        };
        let (uri, key_format) = (self.uri(system), self.key_format(system));
        format!("{tag}METHOD={method},URI=\"{uri}\",{key_id}KEYFORMAT=\"{key_format}\",KEYFORMATVERSIONS=\"1\"")
    }
}
