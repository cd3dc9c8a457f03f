/*
 * Copies .gnu.hash or .hash, .dynsym, .dynstr and .gnu.version of each loaded object into the symbols memfd, and beside
 * them what DT_VERDEF calls its versions.
 *
 * Two passes over the objects: the first finds the tables and gives each its place, the second writes them straight
 * from where ld.so has them mapped, by pwritev, since touching fresh pages through a mapping costs more than copying.
 * Only STT_GNU_IFUNC entries differ from the original; the run of symbols is cut around each.
 *
 * DT_HASH states the number of dynamic symbols; of a library with DT_GNU_HASH nothing does that is loaded: there the
 * longest chain ends with the last of them. A table must end with the segment in which it begins: what is wrong with a
 * library is said here, before anything reads past it.
 */
#include "daemon/runner/process_symbols.h"

#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "common/bytes.h"
#include "daemon/runner/image.h"
#include "daemon/runner/stage.h"
#include "proto/limits.h"
#include "proto/process_symbols.h"

#define WRITE_STAGE   "write the process symbols"
#define VECTORS       256
#define TABLE_ALIGNED 8

/* One loaded object: what the linker will read of it, and where its tables are here. */
struct image {
    struct process_library library;
    const char *name;
    const void *hash, *sysv, *strings, *versions; /* `sysv` only without `hash` */
    const Elf64_Sym *symbols;
    const Elf64_Verdef *definitions; /* of versions; NULL: none */
    uint64_t definition_count;
    uint32_t *version_names; /* owned */
};

struct images {
    struct image *list; /* owned */
    size_t count, room;
    bool no_memory;
    const char *malformed; /* the name of a library whose tables are; NULL for none */
};

/* How many bytes of the object are mapped from here on. */
static uint64_t readable_from(const struct dl_phdr_info *info, const void *address)
{
    uint64_t at = (uintptr_t)address - info->dlpi_addr;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const Elf64_Phdr *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_R) && at >= segment->p_vaddr &&
            at - segment->p_vaddr < segment->p_memsz)
            return segment->p_memsz - (at - segment->p_vaddr);
    }
    return 0;
}

static bool is_readable(const struct dl_phdr_info *info, const void *table, uint64_t count, uint64_t size)
{
    return count <= readable_from(info, table) / size;
}

/* DT_GNU_HASH is four words, bloom filter, buckets, chains. */
static bool image_measure_hash(struct image *image, const struct dl_phdr_info *info)
{
    const uint32_t *hash = image->hash;
    uint64_t words = readable_from(info, hash) / sizeof *hash;
    if (words < 4)
        return false;
    uint64_t bucket_count = hash[0], first = hash[1], start = 4 + (uint64_t)hash[2] * 2;
    uint64_t last = 0, chains = start + bucket_count;
    if (chains > words)
        return false;
    for (uint64_t i = start; i < chains; i++)
        last = hash[i] > last ? hash[i] : last;
    uint64_t count = first;
    if (last >= first) {
        while (last - first < words - chains && (hash[chains + last - first] & 1) == 0)
            last++;
        count = last + 1;
    }
    image->library.symbol_count = count;
    image->library.hash_bytes = (chains + count - first) * sizeof *hash;
    return count - first <= words - chains;
}

/* gABI, "Hash Table": nbucket, nchain, which is the number of symbols, buckets, chains. */
static bool image_measure_sysv(struct image *image, const struct dl_phdr_info *info)
{
    const uint32_t *hash = image->sysv;
    uint64_t words = readable_from(info, hash) / sizeof *hash;
    if (words < 2 || 2 + (uint64_t)hash[0] + hash[1] > words)
        return false;
    image->library.symbol_count = hash[1];
    image->library.sysv_bytes = (2 + (uint64_t)hash[0] + hash[1]) * sizeof *hash;
    return true;
}

static bool image_measure(struct image *image, const struct dl_phdr_info *info)
{
    struct process_library *library = &image->library;
    if (image->hash != NULL ? !image_measure_hash(image, info) : !image_measure_sysv(image, info))
        return false;
    return is_readable(info, image->symbols, library->symbol_count, sizeof *image->symbols) &&
           is_readable(info, image->strings, library->strings_bytes, 1) &&
           (image->versions == NULL || is_readable(info, image->versions, library->symbol_count, sizeof(uint16_t)));
}

/* glibc relocates the addresses in a dynamic section in place, unless that section is read-only. */
static const void *dynamic_pointer(const struct process_library *library, const Elf64_Dyn *entry)
{
    uint64_t address = entry->d_un.d_ptr;
    return (const void *)(address >= library->low && address < library->high ? address : address + library->base);
}

static void image_read_dynamic(struct image *image, const Elf64_Dyn *dynamic)
{
    struct process_library *library = &image->library;
    for (const Elf64_Dyn *entry = dynamic; entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_GNU_HASH:
            image->hash = dynamic_pointer(library, entry);
            break;
        case DT_HASH:
            image->sysv = dynamic_pointer(library, entry);
            break;
        case DT_SYMTAB:
            image->symbols = dynamic_pointer(library, entry);
            break;
        case DT_STRTAB:
            image->strings = dynamic_pointer(library, entry);
            break;
        case DT_STRSZ:
            library->strings_bytes = entry->d_un.d_val;
            break;
        case DT_VERSYM:
            image->versions = dynamic_pointer(library, entry);
            break;
        case DT_VERDEF:
            image->definitions = dynamic_pointer(library, entry);
            break;
        case DT_VERDEFNUM:
            image->definition_count = entry->d_un.d_val;
            break;
        }
    }
    if (image->hash != NULL)
        image->sysv = NULL;
}

#define VERSION_INDEX 0x7fff

static const Elf64_Verdef *next_definition(const Elf64_Verdef *definition)
{
    return (const void *)((const char *)definition + definition->vd_next);
}

/* The base version is the library itself, whose name is no version's. False: no memory. */
static bool image_name_versions(struct image *image)
{
    const Elf64_Verdef *definition = image->definitions;
    uint64_t count = definition == NULL || image->versions == NULL ? 0 : image->definition_count;
    uint32_t last = 0;
    for (uint64_t i = 0; i < count; i++, definition = next_definition(definition))
        last = (definition->vd_ndx & VERSION_INDEX) > last ? definition->vd_ndx & VERSION_INDEX : last;
    if (last == 0)
        return true;
    image->version_names = calloc(last + 1, sizeof *image->version_names);
    if (image->version_names == NULL)
        return false;
    image->library.version_count = last + 1;
    definition = image->definitions;
    for (uint64_t i = 0; i < count; i++, definition = next_definition(definition)) {
        const Elf64_Verdaux *name = (const void *)((const char *)definition + definition->vd_aux);
        if ((definition->vd_flags & VER_FLG_BASE) == 0)
            image->version_names[definition->vd_ndx & VERSION_INDEX] = name->vda_name;
    }
    return true;
}

static bool image_has_names(const struct image *image)
{
    return image->hash != NULL || image->sysv != NULL;
}

/* False if the tables are malformed. */
static bool image_describe(struct image *image, const struct dl_phdr_info *info)
{
    *image = (struct image){.library.base = info->dlpi_addr, .name = info->dlpi_name};
    image->library.name_bytes = strlen(info->dlpi_name) + 1;
    image_bounds(info, &image->library.low, &image->library.high);
    if (info->dlpi_tls_data != NULL)
        image->library.tls_offset = (int64_t)((uintptr_t)info->dlpi_tls_data - (uintptr_t)__builtin_thread_pointer());
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            image_read_dynamic(image, (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr));
    if (image->symbols != NULL && image->strings != NULL && image_has_names(image))
        return image_measure(image, info);
    image->hash = image->sysv = NULL;
    image->library.strings_bytes = 0;
    return true;
}

static int images_add(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    struct images *images = data;
    if (image_is_vdso(info))
        return 0;
    if (images->count == images->room) {
        size_t room = images->room == 0 ? 16 : images->room * 2;
        struct image *list = reallocarray(images->list, room, sizeof *list);
        if (list == NULL) {
            images->no_memory = true;
            return 1;
        }
        images->list = list;
        images->room = room;
    }
    struct image *image = &images->list[images->count++];
    if (!image_describe(image, info)) {
        images->malformed = info->dlpi_name;
        return 1;
    }
    images->no_memory = image_has_names(image) && !image_name_versions(image);
    return images->no_memory;
}

static uint64_t place(uint64_t *end, uint64_t bytes)
{
    uint64_t offset = *end;
    *end = align_up(offset + bytes, TABLE_ALIGNED);
    return offset;
}

/* Gives every table its offset, in the order in which image_write writes them. Returns the file's size. */
static uint64_t images_place(struct images *images)
{
    uint64_t end = sizeof(struct process_symbols_header) + images->count * sizeof(struct process_library);
    for (size_t i = 0; i < images->count; i++) {
        struct image *image = &images->list[i];
        struct process_library *library = &image->library;
        library->name = place(&end, library->name_bytes);
        if (!image_has_names(image))
            continue;
        if (image->hash != NULL)
            library->hash = place(&end, library->hash_bytes);
        else
            library->sysv = place(&end, library->sysv_bytes);
        library->symbols = place(&end, library->symbol_count * sizeof(Elf64_Sym));
        library->strings = place(&end, library->strings_bytes);
        if (image->versions != NULL)
            library->versions = place(&end, library->symbol_count * sizeof(uint16_t));
        if (image->version_names != NULL)
            library->version_names = place(&end, library->version_count * sizeof(uint32_t));
    }
    return end;
}

/* Gathers pieces of memory, which must stay as they are until the writer is flushed. */
struct writer {
    int fd;
    int os; /* errno of the first write that failed, or 0 */
    uint64_t offset;
    int count;
    struct iovec vectors[VECTORS];
};

static void writer_flush(struct writer *writer)
{
    struct iovec *vector = writer->vectors;
    int count = writer->count;
    writer->count = 0;
    while (count > 0 && writer->os == 0) {
        ssize_t written = pwritev(writer->fd, vector, count, (off_t)writer->offset);
        if (written <= 0) {
            writer->os = written < 0 ? errno : EIO;
            return;
        }
        writer->offset += (uint64_t)written;
        size_t left = (size_t)written;
        while (count > 0 && left >= vector->iov_len) {
            left -= vector->iov_len;
            vector++;
            count--;
        }
        if (count > 0) {
            vector->iov_base = (char *)vector->iov_base + left;
            vector->iov_len -= left;
        }
    }
}

static void writer_put(struct writer *writer, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    if (writer->count == VECTORS)
        writer_flush(writer);
    writer->vectors[writer->count++] = (struct iovec){(void *)bytes, length};
}

/* A table and what aligns the next. */
static void writer_put_table(struct writer *writer, const void *bytes, size_t length)
{
    static const char zeros[TABLE_ALIGNED];
    writer_put(writer, bytes, length);
    writer_put(writer, zeros, align_up(length, TABLE_ALIGNED) - length);
}

/* The entry as an ordinary function at the address that its resolver chooses on this CPU. */
static Elf64_Sym symbol_resolve(const struct process_library *library, const Elf64_Sym *symbol)
{
    uintptr_t (*resolver)(void) = (uintptr_t(*)(void))(library->base + symbol->st_value);
    Elf64_Sym resolved = *symbol;
    resolved.st_info = (unsigned char)ELF64_ST_INFO(ELF64_ST_BIND(symbol->st_info), STT_FUNC);
    resolved.st_value = resolver() - library->base;
    return resolved;
}

static void writer_put_symbols(struct writer *writer, const struct image *image)
{
    Elf64_Sym resolved[VECTORS / 2];
    size_t resolved_count = 0, from = 0;
    const Elf64_Sym *symbols = image->symbols;
    for (size_t i = 0; i < image->library.symbol_count; i++) {
        if (ELF64_ST_TYPE(symbols[i].st_info) != STT_GNU_IFUNC || symbols[i].st_shndx == SHN_UNDEF)
            continue;
        if (resolved_count == ARRAY_LENGTH(resolved)) {
            writer_flush(writer);
            resolved_count = 0;
        }
        resolved[resolved_count] = symbol_resolve(&image->library, &symbols[i]);
        writer_put(writer, &symbols[from], (i - from) * sizeof *symbols);
        writer_put(writer, &resolved[resolved_count++], sizeof *symbols);
        from = i + 1;
    }
    writer_put(writer, &symbols[from], (image->library.symbol_count - from) * sizeof *symbols);
    writer_flush(writer);
}

static void image_write(struct writer *writer, const struct image *image)
{
    const struct process_library *library = &image->library;
    writer_put_table(writer, image->name, library->name_bytes);
    if (!image_has_names(image))
        return;
    writer_put_table(writer, image->hash, library->hash_bytes);
    writer_put_table(writer, image->sysv, library->sysv_bytes);
    writer_put_symbols(writer, image);
    writer_put_table(writer, image->strings, library->strings_bytes);
    if (image->versions != NULL)
        writer_put_table(writer, image->versions, library->symbol_count * sizeof(uint16_t));
    if (image->version_names != NULL)
        writer_put_table(writer, image->version_names, library->version_count * sizeof(uint32_t));
}

static void images_write(struct writer *writer, const struct images *images)
{
    struct process_symbols_header header = {PROCESS_SYMBOLS_MAGIC, (uint32_t)images->count};
    writer_put(writer, &header, sizeof header);
    for (size_t i = 0; i < images->count; i++)
        writer_put(writer, &images->list[i].library, sizeof images->list[i].library);
    for (size_t i = 0; i < images->count; i++)
        image_write(writer, &images->list[i]);
    writer_flush(writer);
}

int process_symbols_write(int memfd, uint64_t *bytes, struct error *error)
{
    struct images images = {0};
    struct writer writer = {.fd = memfd};
    int code = 0;
    dl_iterate_phdr(images_add, &images);
    if (images.no_memory) {
        code = error_set(error, ERROR_NO_MEMORY, WRITE_STAGE);
        goto out;
    }
    if (images.malformed != NULL) {
        code = error_set(error, ERROR_SETUP, "%s: its symbol tables are malformed", images.malformed);
        goto out;
    }
    *bytes = images_place(&images);
    if (*bytes > LIMIT_PROCESS_SYMBOL_BYTES) {
        code = error_set(error, ERROR_LIMIT, "the libraries' symbol tables are too large");
        goto out;
    }
    images_write(&writer, &images);
    if (writer.os != 0) {
        errno = writer.os;
        code = stage_failed(error, WRITE_STAGE);
    }
out:
    for (size_t i = 0; i < images.count; i++)
        free(images.list[i].version_names);
    free(images.list);
    return code;
}
