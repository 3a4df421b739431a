//! Generates the stubs from the contract, with the `protoc` that is on the PATH.

fn main() -> std::io::Result<()> {
    tonic_prost_build::configure()
        .build_server(false)
        .bytes(".") // an image that is sent again is shared, not copied
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_protos(
            &["digitserve/v1/digits.proto", "digitserve/v1/models.proto"],
            &["../../protos", "../../third_party/googleapis"],
        )
}
