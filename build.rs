//! Packs the texts of the protocol's replies. For the module it makes the bindings, too, and compiles the C glue.

#[path = "build/texts.rs"]
mod texts;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    texts::build();
    #[cfg(feature = "native")]
    native::build();
}

#[cfg(feature = "native")]
mod native {
    use std::env;
    use std::path::PathBuf;

    pub fn build() {
        for file in ["abi.h", "glue.c"] {
            println!("cargo::rerun-if-changed=micropython/{file}");
        }
        // Where Rust's name for the architecture has the extensions in it, clang's has not.
        let target = match env::var("TARGET").unwrap() {
            target if target.starts_with("riscv32") => "riscv32-unknown-none-elf".into(),
            target => target,
        };
        let bindings = bindgen::Builder::default()
            .header("micropython/abi.h")
            .clang_arg(format!("--target={target}"))
            .ctypes_prefix("cty")
            .use_core()
            .layout_tests(false)
            .derive_debug(false)
            .generate_comments(false)
            .generate();
        let bindings = match bindings {
            Ok(bindings) => bindings,
            Err(error) => {
                panic!("bindgen cannot read micropython/abi.h: {error}\nIf libclang is missing, run: cargo xtask setup")
            }
        };
        let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
        bindings.write_to_file(out.join("abi.rs")).expect("OUT_DIR can be written");
        let mut compiler = cc::Build::new();
        if cfg!(feature = "rom") {
            compiler.define("FTPDLITE_ROM", None).flag("-ffixed-r9");
        }
        compiler
            .file("micropython/glue.c")
            .flag("-ffreestanding")
            .flag("-fvisibility=hidden")
            .flag("-fno-asynchronous-unwind-tables")
            .flag("-fno-stack-protector")
            .pic(true)
            .opt_level_str("s")
            .warnings_into_errors(true)
            .compile("ftpdlite_glue");
    }
}
