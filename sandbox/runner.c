/* The guest's C side: boots CPython once, at build time, and then runs one eval on one trace.
 *
 * `initialize` runs while the snapshot is taken and is gone from the finished module. What the host
 * calls is at the end of this file; README.md states the contract. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <marshal.h>
#include <stdio.h>
#include <string.h>

#include "seal.h"

#define EXPORT(name) __attribute__((export_name(name)))

/* ---- What the Python side needs from C: the built-in module `_iofold`. ---- */

/* The bytes of one frozen module, read or None where there is no such file. */
static PyObject *read_code(PyObject *self, PyObject *path) {
    (void)self;
    const char *name = PyUnicode_AsUTF8(path);
    if (name == NULL) return NULL;
    FILE *file = fopen(name, "rb");
    if (file == NULL) Py_RETURN_NONE;
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    PyObject *code = PyBytes_FromStringAndSize(NULL, length);
    if (code != NULL && fread(PyBytes_AS_STRING(code), 1, (size_t)length, file) != (size_t)length) {
        Py_CLEAR(code);
        PyErr_Format(PyExc_OSError, "can't read %s", name);
    }
    fclose(file);
    return code;
}

static PyObject *refused(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    return PyUnicode_FromString(last_refused());
}

static PyMethodDef methods[] = {
    {"read_code", read_code, METH_O, "The bytes of one frozen module, or None."},
    {"last_refused", refused, METH_NOARGS, "What the seal refused last."},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_iofold", NULL, -1, methods, NULL, NULL, NULL, NULL};

static PyObject *init_iofold(void) { return PyModule_Create(&definition); }

/* The library's measures the whole string first. CPython looks for the end of each line of a source by it: of
 * 256 KiB, that took all the fuel that an eval has. */
char *strchr(const char *text, int character) {
    for (;; text++) {
        if (*text == (char)character) return (char *)text;
        if (*text == '\0') return NULL;
    }
}

/* ---- Booting, at build time. ---- */

static PyObject *load_function;
static PyObject *know_function;
static PyObject *evaluate_function;

static void die(const char *what) {
    if (PyErr_Occurred()) PyErr_Print();
    fprintf(stderr, "the guest can't boot: %s\n", what);
    abort();
}

/* Module `name` from its frozen code, before there is an importer that could do it. */
static PyObject *boot_module(const char *name, const char *path) {
    PyObject *where = PyUnicode_FromString(path);
    PyObject *bytes = read_code(NULL, where);
    if (bytes == NULL || bytes == Py_None) die(path);
    PyObject *code = PyMarshal_ReadObjectFromString(PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    PyObject *module = code == NULL ? NULL : PyImport_ExecCodeModule(name, code);
    if (module == NULL) die(path);
    Py_XDECREF(code);
    Py_DECREF(bytes);
    Py_DECREF(where);
    return module;
}

/* `encodings` and what it imports at once: CPython needs them before any importer of ours runs. */
static struct _frozen early[] = {
    {"encodings", NULL, 0, 1},
    {"encodings.aliases", NULL, 0, 0},
    {"encodings.utf_8", NULL, 0, 0},
    {NULL, NULL, 0, 0},
};
static unsigned char early_code[3][16384];

static void read_early(int index, const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) die(path);
    size_t length = fread(early_code[index], 1, sizeof early_code[index], file);
    if (!feof(file)) die("an early module is larger than its buffer");
    fclose(file);
    early[index].code = early_code[index];
    early[index].size = (int)length;
}

/* ---- Memory. ---- */

/* pymalloc's arenas, straight from the module's memory: `malloc` would round each up to twice its size. CPython's
 * stack frames come this way too, in smaller pieces. */
static struct arena {
    struct arena *next;
} *free_arenas;

#define ARENA_BYTES 262144
#define WASM_PAGE 65536

static void *take_arena(void *self, size_t length) {
    (void)self;
    if (length != ARENA_BYTES) return malloc(length);
    struct arena *arena = free_arenas;
    if (arena != NULL) {
        free_arenas = arena->next;
        return arena;
    }
    size_t page = __builtin_wasm_memory_grow(0, ARENA_BYTES / WASM_PAGE);
    return page == SIZE_MAX ? NULL : (void *)(page * WASM_PAGE);
}

static void give_arena(void *self, void *start, size_t length) {
    (void)self;
    if (length != ARENA_BYTES) {
        free(start);
        return;
    }
    struct arena *arena = start;
    arena->next = free_arenas;
    free_arenas = arena;
}

/* Free memory at rest, enough for a trace of some 100 KB: a call that finds it need not ask the host for more. */
static void keep_spare_memory(void) {
    enum { ARENAS = 6, BLOCKS = 4 };
    void *arenas[ARENAS], *blocks[BLOCKS];
    for (int i = 0; i < ARENAS; i++) arenas[i] = take_arena(NULL, ARENA_BYTES);
    for (int i = 0; i < BLOCKS; i++) blocks[i] = malloc((WASM_PAGE << i) - 64);
    for (int i = BLOCKS; i-- > 0;) free(blocks[i]);
    for (int i = ARENAS; i-- > 0;) give_arena(NULL, arenas[i], ARENA_BYTES);
}

static void configure(PyConfig *config) {
    PyConfig_InitIsolatedConfig(config);
    config->site_import = 0;
    config->write_bytecode = 0;
    config->use_hash_seed = 1;
    config->hash_seed = 0;
    config->pathconfig_warnings = 0;
    config->install_signal_handlers = 0;
    config->module_search_paths_set = 1;
    PyConfig_SetString(config, &config->program_name, L"eval");
    PyConfig_SetString(config, &config->stdlib_dir, L"");
    PyConfig_SetString(config, &config->prefix, L"");
    PyConfig_SetString(config, &config->exec_prefix, L"");
    PyConfig_SetString(config, &config->base_prefix, L"");
    PyConfig_SetString(config, &config->base_exec_prefix, L"");
    PyConfig_SetString(config, &config->executable, L"");
    PyConfig_SetString(config, &config->base_executable, L"");
}

static void boot_python(void) {
    PyConfig config;
    PyPreConfig before;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    if (PyStatus_Exception(Py_PreInitialize(&before))) die("pre-initialisation");
    read_early(0, "/code/encodings.__init__");
    read_early(1, "/code/encodings.aliases");
    read_early(2, "/code/encodings.utf_8");
    PyObjectArenaAllocator allocator = {NULL, take_arena, give_arena};
    PyObject_SetArenaAllocator(&allocator);
    PyImport_FrozenModules = early;
    PyImport_AppendInittab("_iofold", init_iofold);
    configure(&config);
    PyStatus status = Py_InitializeFromConfig(&config);
    if (PyStatus_Exception(status)) die(status.err_msg);
    PyConfig_Clear(&config);
}

extern unsigned char __stack_low, __stack_high;

/* Clears what calls have left on the unused part of the C stack: it need not be in the snapshot. */
static void __attribute__((noinline)) clear_stack(void) {
    unsigned char *here = __builtin_frame_address(0);
    memset(&__stack_low, 0, (size_t)(here - &__stack_low) - 512);
}

EXPORT("initialize") void initialize(void) {
    boot_python();
    PyObject *prelude = boot_module("_iofold_prelude", "/code/prelude");
    load_function = PyObject_GetAttrString(prelude, "load");
    know_function = PyObject_GetAttrString(prelude, "know");
    evaluate_function = PyObject_GetAttrString(prelude, "evaluate");
    PyObject *ready = PyObject_CallMethod(prelude, "finish", NULL);
    if (PyErr_Occurred() || ready == NULL) die("the prelude");
    Py_DECREF(ready);
    Py_DECREF(prelude);
    memset(early_code, 0, sizeof early_code);
    memset(early, 0, sizeof early);
    keep_spare_memory();
    clear_stack();
    seal();
}

/* ---- What the host calls. ---- */

static PyObject *result;

/* Keeps what a function of the prelude returned.
 * 0: done, no result; 1: `result_ptr` and `result_len` give JSON; -1: the runner itself failed. */
static int keep(PyObject *answer) {
    PyErr_Clear();
    if (answer == NULL || (answer != Py_None && !PyBytes_Check(answer))) return -1;
    result = answer == Py_None ? NULL : answer;
    return result != NULL;
}

/* Calls `function` with the text at `bytes` (made by `alloc`, freed here). */
static int call(PyObject *function, char *bytes, size_t length) {
    PyObject *text = PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)length, "replace");
    free(bytes);
    PyObject *answer = text == NULL ? NULL : PyObject_CallOneArg(function, text);
    Py_XDECREF(text);
    return keep(answer);
}

EXPORT("alloc") void *alloc(size_t length) { return malloc(length ? length : 1); }

EXPORT("load") int load(char *source, size_t length) { return call(load_function, source, length); }

EXPORT("know") int know(char *answers, size_t length) { return call(know_function, answers, length); }

EXPORT("evaluate") int evaluate(char *trace, size_t length) { return call(evaluate_function, trace, length); }

EXPORT("result_ptr") const char *result_ptr(void) { return result ? PyBytes_AS_STRING(result) : NULL; }

EXPORT("result_len") size_t result_len(void) { return result ? (size_t)PyBytes_GET_SIZE(result) : 0; }
