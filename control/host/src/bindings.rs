//! Host side of the Spin interfaces that the edge imports. The WASI interfaces come with `wasmtime-wasi` and
//! `wasmtime-wasi-http`.

#[allow(missing_docs, reason = "generated from WIT")]
mod generated {
    wasmtime::component::bindgen!({
        path: ["../../wit/deps/spin-key-value@3.0.0.wit", "../../wit/deps/spin-variables@3.0.0.wit"],
        inline: r#"
            package edgepack:host;

            world host {
                import spin:key-value/key-value@3.0.0;
                import spin:variables/variables@3.0.0;
            }
        "#,
        world: "edgepack:host/host",
        imports: { default: trappable },
        with: { "spin:key-value/key-value.store": crate::keyvalue::OpenStore },
    });
}

pub(crate) use generated::spin::key_value::key_value;
pub(crate) use generated::spin::variables::variables;
