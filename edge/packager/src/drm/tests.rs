use super::*;
use crate::config::{Body, ContentKeys, Document, KeyUse, KeysOf, SealedKey, keys_key};

const KID: &str = "11111111-0000-4000-8000-000000000aa1";
const KEY_BYTES: [u8; 16] = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes();

struct Given {
    urls: Urls,
    key: ContentKey,
    systems: Vec<System>,
    scheme: Scheme,
    package_type: PackageType,
}

fn given(package_type: PackageType, scheme: Scheme, systems: &[System]) -> Given {
    let urls = Urls {
        key: Some("https://keys.example/k?a=1&b=2".into()),
        clear_key: Some("https://keys.example/licence?a=1&b=2".into()),
        ..Urls::default()
    };
    Given { urls, key: ContentKey::new(KEY_BYTES), systems: systems.to_vec(), scheme, package_type }
}

impl Given {
    fn subject(&self) -> Subject<'_> {
        Subject {
            kid: KID.parse().unwrap(),
            iv: (self.scheme != Scheme::Cenc).then_some(Iv([0xcd; 16])),
            key: Some(&self.key),
            scheme: self.scheme,
            package_type: self.package_type,
            systems: &self.systems,
            urls: &self.urls,
            content_id: "",
        }
    }

    fn signal(&self) -> Vec<Signalling> {
        signal(&self.subject()).unwrap()
    }

    fn merge(&self, returned: Returned) -> Result<Vec<Signalling>> {
        merge(&self.subject(), &[returned])
    }
}

/// What shaka-packager 3.8.0 writes for the same key with `--enable_raw_key_encryption`.
mod shaka_packager {
    pub const WIDEVINE_CENC: &str = "AAAAOHBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAABgSEBEREREAAEAAgAAAAAAACqFI49yVmwY=";
    pub const WIDEVINE_CBCS: &str = "AAAAOHBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAABgSEBEREREAAEAAgAAAAAAACqFI88aJmwY=";
    pub const COMMON: &str = "AAAANHBzc2gBAAAAEHfv7MCyTQKs4zweUuL7SwAAAAERERERAABAAIAAAAAAAAqhAAAAAA==";
    pub const PLAYREADY_CENC: &str = "AAACJnBzc2gAAAAAmgTweZhAQoarkuZb4IhflQAAAgYGAgAAAQABAPwBPABXAFIATQBIAEUAQQBEAEUAUgAgAHgAbQBsAG4AcwA9\
        ACIAaAB0AHQAcAA6AC8ALwBzAGMAaABlAG0AYQBzAC4AbQBpAGMAcgBvAHMAbwBmAHQALgBjAG8AbQAvAEQAUgBNAC8AMgAwADAA\
        NwAvADAAMwAvAFAAbABhAHkAUgBlAGEAZAB5AEgAZQBhAGQAZQByACIAIAB2AGUAcgBzAGkAbwBuAD0AIgA0AC4AMAAuADAALgAw\
        ACIAPgA8AEQAQQBUAEEAPgA8AFAAUgBPAFQARQBDAFQASQBOAEYATwA+ADwASwBFAFkATABFAE4APgAxADYAPAAvAEsARQBZAEwA\
        RQBOAD4APABBAEwARwBJAEQAPgBBAEUAUwBDAFQAUgA8AC8AQQBMAEcASQBEAD4APAAvAFAAUgBPAFQARQBDAFQASQBOAEYATwA+\
        ADwASwBJAEQAPgBFAFIARQBSAEUAUQBBAEEAQQBFAEMAQQBBAEEAQQBBAEEAQQBBAEsAbwBRAD0APQA8AC8ASwBJAEQAPgA8AEMA\
        SABFAEMASwBTAFUATQA+AGoAKwBxAHUAZABLAGMAOAA1AE0AYwA9ADwALwBDAEgARQBDAEsAUwBVAE0APgA8AC8ARABBAFQAQQA+\
        ADwALwBXAFIATQBIAEUAQQBEAEUAUgA+AA==";
    pub const PLAYREADY_CBCS: &str = "AAAB3nBzc2gAAAAAmgTweZhAQoarkuZb4IhflQAAAb6+AQAAAQABALQBPABXAFIATQBIAEUAQQBEAEUAUgAgAHgAbQBsAG4AcwA9\
        ACIAaAB0AHQAcAA6AC8ALwBzAGMAaABlAG0AYQBzAC4AbQBpAGMAcgBvAHMAbwBmAHQALgBjAG8AbQAvAEQAUgBNAC8AMgAwADAA\
        NwAvADAAMwAvAFAAbABhAHkAUgBlAGEAZAB5AEgAZQBhAGQAZQByACIAIAB2AGUAcgBzAGkAbwBuAD0AIgA0AC4AMwAuADAALgAw\
        ACIAPgA8AEQAQQBUAEEAPgA8AFAAUgBPAFQARQBDAFQASQBOAEYATwA+ADwASwBJAEQAUwA+ADwASwBJAEQAIABBAEwARwBJAEQA\
        PQAiAEEARQBTAEMAQgBDACIAIABWAEEATABVAEUAPQAiAEUAUgBFAFIARQBRAEEAQQBBAEUAQwBBAEEAQQBBAEEAQQBBAEEASwBv\
        AFEAPQA9ACIAPgA8AC8ASwBJAEQAPgA8AC8ASwBJAEQAUwA+ADwALwBQAFIATwBUAEUAQwBUAEkATgBGAE8APgA8AC8ARABBAFQA\
        QQA+ADwALwBXAFIATQBIAEUAQQBEAEUAUgA+AA==";
}

#[test]
fn boxes_are_those_of_shaka_packager() {
    let pssh = |scheme, system| given(PackageType::Dash, scheme, &[system]).signal()[0].pssh.clone().unwrap();
    assert_eq!(pssh(Scheme::Cenc, System::Widevine), shaka_packager::WIDEVINE_CENC);
    assert_eq!(pssh(Scheme::Cbcs, System::Widevine), shaka_packager::WIDEVINE_CBCS);
    assert_eq!(clearkey::pssh(KID.parse().unwrap()).to_base64(), shaka_packager::COMMON);
    assert_eq!(pssh(Scheme::Cenc, System::Playready), shaka_packager::PLAYREADY_CENC);
    assert_eq!(pssh(Scheme::Cbcs, System::Playready), shaka_packager::PLAYREADY_CBCS);
}

#[test]
fn every_system_says_what_its_players_look_for() {
    let hls = given(PackageType::Cmaf, Scheme::Cbcs, &[System::Widevine, System::Playready, System::Fairplay]);
    let entries = hls.signal();
    let line = |entry: &Signalling| entry.hls.clone().unwrap();
    assert_eq!(
        line(&entries[0]),
        format!(
            "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"data:text/plain;base64,{}\",\
             KEYFORMAT=\"urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\",KEYFORMATVERSIONS=\"1\",\
             KEYID=0x11111111000040008000000000000aa1",
            shaka_packager::WIDEVINE_CBCS
        )
    );
    assert!(line(&entries[1]).starts_with("#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"data:text/plain;charset=UTF-16;base64,"));
    assert!(line(&entries[1]).ends_with("\",KEYFORMAT=\"com.microsoft.playready\",KEYFORMATVERSIONS=\"1\""));
    assert_eq!(
        line(&entries[2]),
        "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://11111111-0000-4000-8000-000000000aa1\",\
         KEYFORMAT=\"com.apple.streamingkeydelivery\",KEYFORMATVERSIONS=\"1\""
    );
    for entry in &entries {
        assert_eq!(
            entry.hls_session.as_ref().unwrap()["#EXT-X-SESSION-KEY:".len()..],
            line(entry)["#EXT-X-KEY:".len()..]
        );
        assert_eq!(entry.dash, None);
    }
    let dash = given(PackageType::Dash, Scheme::Cenc, &[System::Playready, System::ClearKey]).signal();
    assert!(dash.iter().all(|e| e.hls.is_none() && e.hls_session.is_none()));
    let object = STANDARD.encode(Pssh::from_base64(dash[0].pssh.as_ref().unwrap()).unwrap().data);
    assert_eq!(
        dash[0].dash.as_deref(),
        Some(format!("<mspr:pro xmlns:mspr=\"urn:microsoft:playready\">{object}</mspr:pro>").as_str())
    );
    assert_eq!(
        dash[1].dash.as_deref(),
        Some(
            "<dashif:Laurl xmlns:dashif=\"https://dashif.org/CPS\" licenseType=\"EME-1.0\">\
             https://keys.example/licence?a=1&amp;b=2</dashif:Laurl>"
        )
    );
    assert_eq!(dash[1].pssh, None);
}

#[test]
fn clear_key_has_a_line_for_each_kind_of_player() {
    let lines = |scheme| {
        let entries = given(PackageType::Cmaf, scheme, &[System::ClearKey]).signal();
        entries.into_iter().map(|e| (e.system, e.hls.unwrap(), e.hls_session.is_some())).collect::<Vec<_>>()
    };
    let own = |method: &str| {
        format!(
            "#EXT-X-KEY:METHOD={method},URI=\"data:application/octet-stream;base64,EREREQAAQACAAAAAAAAKoQ==\",\
             KEYFORMAT=\"org.w3.clearkey\",KEYFORMATVERSIONS=\"1\",KEYID=0x11111111000040008000000000000aa1"
        )
    };
    let fetched = |method: &str| {
        format!(
            "#EXT-X-KEY:METHOD={method},URI=\"https://keys.example/k?a=1&b=2\",KEYFORMAT=\"identity\",\
             KEYFORMATVERSIONS=\"1\""
        )
    };
    let expected = [
        (None, fetched("SAMPLE-AES"), false),
        (None, "#EXT-X-KEY:METHOD=NONE".to_owned(), false),
        (Some(System::ClearKey), own("SAMPLE-AES"), true),
    ];
    assert_eq!(lines(Scheme::Cbcs), expected);
    let expected = [(None, fetched("SAMPLE-AES-CTR"), false), (Some(System::ClearKey), own("SAMPLE-AES-CTR"), true)];
    assert_eq!(lines(Scheme::Cenc), expected);
}

#[test]
fn keys_of_transport_streams_are_fetched() {
    let entries = given(PackageType::Hls, Scheme::Aes128, &[]).signal();
    let expected = "#EXT-X-KEY:METHOD=AES-128,URI=\"https://keys.example/k?a=1&b=2\",\
                    IV=0xcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";
    assert_eq!((entries.len(), entries[0].hls.as_deref()), (1, Some(expected)));
    let expected = "#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"https://keys.example/k?a=1&b=2\"";
    assert_eq!(entries[0].hls_session.as_deref(), Some(expected));
    let mut without = given(PackageType::Hls, Scheme::SampleAes, &[]);
    assert!(without.signal()[0].hls.as_ref().unwrap().contains("SAMPLE-AES,URI=\"https:"));
    let fairplay = given(PackageType::Hls, Scheme::SampleAes, &[System::Fairplay]).signal();
    assert!(fairplay.len() == 1 && !fairplay[0].hls.as_ref().unwrap().contains(",IV="));
    without.urls.key = None;
    assert!(signal(&without.subject()).is_err());
    for bad in ["", "https://a/\"", "https://a/\n", "https://a/<", "https://ü/", &"a".repeat(3000)] {
        without.urls.key = Some(bad.to_owned());
        assert!(signal(&without.subject()).is_err(), "{bad:?}");
    }
}

/// All that is made here is taken by the check of the document that it goes into.
#[test]
fn the_document_takes_it() {
    let all = [
        (PackageType::Cmaf, Scheme::Cbcs, vec![System::Widevine, System::Playready, System::ClearKey]),
        (PackageType::Dash, Scheme::Cenc, vec![System::Widevine, System::ClearKey]),
        (PackageType::Hls, Scheme::Aes128, vec![]),
    ];
    for (package_type, scheme, systems) in all {
        let given = given(package_type, scheme, &systems);
        let subject = given.subject();
        let key = SealedKey {
            kid: subject.kid,
            usage: KeyUse::All,
            from_second: 0,
            iv: subject.iv,
            sealed: String::new(),
            signalling: given.signal(),
        };
        let keys = ContentKeys {
            of: KeysOf::asset("g", "a", "c"),
            scheme,
            keys: vec![key],
            clear_video: false,
            clear_audio: false,
        };
        let document = Document::new(keys_key("g", "a", "c"), 1, Body::Keys(keys));
        document.check().unwrap_or_else(|e| panic!("{package_type:?}: {e}"));
    }
}

#[test]
fn what_a_key_server_says_wins() {
    let given = given(PackageType::Dash, Scheme::Cenc, &[System::Widevine, System::Playready]);
    let kid: Kid = KID.parse().unwrap();
    let theirs = Pssh { key_ids: Some(vec![kid]), ..widevine::pssh(kid, Scheme::Cenc, "their content") }.to_base64();
    let dash = format!("<pssh xmlns=\"urn:mpeg:cenc:2013\">{theirs}</pssh><a:x xmlns:a=\"urn:a\"/>");
    let widevine = Returned { system: Some(System::Widevine), pssh: Some(theirs.clone()), ..Returned::default() };
    let ours = given.signal();
    let merged = given.merge(widevine.clone()).unwrap();
    assert_eq!((merged[0].pssh.as_ref(), merged[0].dash.as_ref()), (Some(&theirs), None));
    assert_eq!(merged[1], ours[1]);
    let only_dash = Returned { pssh: None, dash: Some(dash.clone()), ..widevine.clone() };
    let merged = given.merge(only_dash.clone()).unwrap();
    assert_eq!(merged[0].pssh.as_ref(), Some(&theirs));
    assert_eq!(merged[0].dash.as_deref(), Some("<a:x xmlns:a=\"urn:a\"/>"));
    let two = Returned { pssh: ours[0].pssh.clone(), ..only_dash };
    assert!(given.merge(two).is_err());

    let object = playready::header(kid, Scheme::Cenc, None, Some("https://theirs.example/")).write().unwrap();
    let playready =
        Returned { system: Some(System::Playready), playready: Some(STANDARD.encode(&object)), ..Returned::default() };
    let merged = given.merge(playready).unwrap();
    assert_eq!(Pssh::from_base64(merged[1].pssh.as_ref().unwrap()).unwrap().data, object);
    assert!(merged[1].dash.as_ref().unwrap().contains(&STANDARD.encode(&object)));

    let hls = self::given(PackageType::Cmaf, Scheme::Cenc, &[System::Widevine]);
    let merged = hls.merge(widevine).unwrap();
    assert!(merged[0].hls.as_ref().unwrap().contains(&theirs), "the line carries the box of the server");
    let session = "#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES-CTR,URI=\"data:text/plain;base64,AAAA\",\
                   KEYFORMAT=\"urn:uuid:EDEF8BA9-79D6-4ace-a3c8-27dcd51d21ed\",KEYFORMATVERSIONS=\"1\",X=1";
    let line = session.replace("-SESSION", "");
    let one = Returned { system: Some(System::Widevine), hls: Some(format!("{line}\n")), ..Returned::default() };
    let merged = hls.merge(one.clone()).unwrap();
    assert_eq!((merged[0].hls.as_ref(), merged[0].hls_session.as_deref()), (Some(&line), Some(session)));
    let other = session.replace("VERSIONS=\"1\"", "VERSIONS=\"2\"");
    assert!(hls.merge(Returned { hls_session: Some(other), ..one }).is_err());
}

#[test]
fn fetched_keys_take_the_address_of_the_server() {
    let given = given(PackageType::Hls, Scheme::Aes128, &[]);
    let at = Returned { uri: Some("https://theirs.example/1".into()), ..Returned::default() };
    let line = "#EXT-X-KEY:METHOD=AES-128,URI=\"https://theirs.example/1\",IV=0xcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";
    assert_eq!(given.merge(at).unwrap()[0].hls.as_deref(), Some(line));
    let without_iv = line.split(",IV").next().unwrap().to_owned();
    let merged = given.merge(Returned { hls: Some(without_iv), ..Returned::default() }).unwrap();
    assert_eq!(merged[0].hls.as_deref(), Some(line), "media have an IV of their own, so players have to know");
    let other_iv = line.replace("0xcdcd", "0xabab");
    assert!(given.merge(Returned { hls: Some(other_iv), ..Returned::default() }).is_err());
    let fairplay = self::given(PackageType::Hls, Scheme::SampleAes, &[System::Fairplay]);
    let skd = Returned { system: Some(System::Fairplay), uri: Some("skd://theirs".into()), ..Returned::default() };
    assert!(fairplay.merge(skd).unwrap()[0].hls.as_ref().unwrap().contains("URI=\"skd://theirs\""));
}

#[test]
fn answers_that_do_not_fit_are_refused() {
    let hls = given(PackageType::Cmaf, Scheme::Cbcs, &[System::Widevine, System::Playready, System::Fairplay]);
    let kid: Kid = KID.parse().unwrap();
    let other = Kid([9; 16]);
    let refused = |returned: Returned| {
        let error = hls.merge(returned.clone()).expect_err(&format!("{returned:?}"));
        assert!(error.message().contains(KID), "{error}");
    };
    let widevine = Returned { system: Some(System::Widevine), ..Returned::default() };
    let boxed = |pssh: Pssh| Returned { pssh: Some(pssh.to_base64()), ..widevine.clone() };
    refused(boxed(widevine::pssh(other, Scheme::Cbcs, "")));
    refused(boxed(clearkey::pssh(kid)));
    refused(boxed(Pssh { data: vec![0xff; 9], ..widevine::pssh(kid, Scheme::Cbcs, "") }));
    refused(Returned { pssh: Some("AAAA".into()), ..widevine.clone() });
    refused(Returned { pssh: Some("%".into()), ..widevine.clone() });
    refused(Returned { dash: Some("<a/>".into()), ..widevine.clone() });
    let object = playready::header(other, Scheme::Cbcs, None, None).write().unwrap();
    let playready = Returned { system: Some(System::Playready), ..Returned::default() };
    refused(Returned { playready: Some(STANDARD.encode(object)), ..playready.clone() });
    refused(Returned { playready: Some("AAAA".into()), ..playready });
    let line = |method: &str, format: &str, more: &str| Returned {
        system: Some(System::Fairplay),
        hls: Some(format!("#EXT-X-KEY:METHOD={method},URI=\"skd://a\",KEYFORMAT=\"{format}\"{more}")),
        ..Returned::default()
    };
    assert!(hls.merge(line("SAMPLE-AES", fairplay::FORMAT, "")).is_ok());
    refused(line("SAMPLE-AES-CTR", fairplay::FORMAT, ""));
    refused(line("NONE", fairplay::FORMAT, ""));
    refused(line("SAMPLE-AES", "identity", ""));
    refused(line("SAMPLE-AES", fairplay::FORMAT, "\n#EXT-X-ENDLIST"));
    refused(line("SAMPLE-AES", fairplay::FORMAT, ",IV=0x01"));
    refused(Returned { system: Some(System::Fairplay), uri: Some("skd://\"".into()), ..Returned::default() });
}
