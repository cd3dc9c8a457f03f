/*
 * The symbols of the runner's own executable and libraries, as the template hands them to the linker.
 *
 * The template copies, for every loaded object in search order, the tables that ld.so itself uses: DT_GNU_HASH, or
 * DT_HASH where that is all there is, .dynsym, .dynstr and .gnu.version, and the names of the versions. The linker then
 * looks names up as ld.so does, bloom filter first, without asking anybody. STT_GNU_IFUNC entries are copied with their
 * resolver's result as value and STT_FUNC as type, since what they resolve to is decided by the CPU and the same in
 * every process of the session.
 *
 * Layout of the memfd: this header, `count` descriptions, then the tables, each 8-byte aligned. Offsets count from the
 * beginning of the memfd. The template is trusted no more than needed: the reader checks every range once at the start.
 */
#ifndef PROTO_PROCESS_SYMBOLS_H
#define PROTO_PROCESS_SYMBOLS_H

#include <stdint.h>

#define PROCESS_SYMBOLS_MAGIC 0x4d59534au

struct process_symbols_header {
    uint32_t magic;
    uint32_t count;
};

/* Without either table a library has no names, and no symbols and strings here. */
struct process_library {
    uint64_t base;                  /* load bias: address = base + st_value */
    uint64_t low, high;             /* addresses it occupies */
    int64_t tls_offset;             /* of its TLS block from the thread pointer; 0 where it has none */
    uint64_t name, name_bytes;      /* path or soname; "" is the runner itself */
    uint64_t hash, hash_bytes;      /* DT_GNU_HASH: nbuckets, symndx, maskwords, shift2, bloom[], buckets[], chains[] */
    uint64_t sysv, sysv_bytes;      /* DT_HASH, where `hash` is 0: nbucket, nchain, bucket[], chain[] */
    uint64_t symbols, symbol_count; /* Elf64_Sym */
    uint64_t strings, strings_bytes;       /* NUL-terminated */
    uint64_t versions;                     /* u16 per symbol; 0 where the library has none; bit 15: hidden version */
    uint64_t version_names, version_count; /* u32 by version: where its name is in `strings`; 0: none of that number */
};

#endif
