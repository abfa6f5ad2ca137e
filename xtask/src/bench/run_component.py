"""Runs a command component with one folder: run_component.py COMPONENT FOLDER ARGUMENT..."""

import sys

import wasmtime
from wasmtime import component

path, folder, *arguments = sys.argv[1:]
engine = wasmtime.Engine(wasmtime.Config())
store = wasmtime.Store(engine)
wasi = wasmtime.WasiConfig()
wasi.argv = [path, *arguments]
wasi.inherit_stdout()
wasi.inherit_stderr()
wasi.preopen_dir(folder, ".")
store.set_wasi(wasi)
linker = component.Linker(engine)
linker.add_wasip2()
instance = linker.instantiate(store, component.Component.from_file(engine, path))
name = next(name for name in (f"wasi:cli/run@0.2.{minor}" for minor in range(20))
            if instance.get_export_index(store, name))
interface = instance.get_export_index(store, name)
run = instance.get_func(store, instance.get_export_index(store, "run", interface))
try:
    run(store)
except wasmtime.ExitTrap as exit:
    sys.exit(exit.code)
