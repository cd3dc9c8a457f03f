/*
 * One walk over .eh_frame serves checking and building. Both check everything: relocations, which the object chooses,
 * may have changed any byte in between.
 *
 * Record layout: LSB 5 core, "DWARF Extensions", 10.6.1. A record's length counts from behind the length word; an FDE's
 * CIE pointer is the distance from itself back to its CIE. CIEs are parsed where FDEs point to them, the last one
 * being remembered; the known augmentation letters bound the work for each. libgcc knows no 64-bit records; nor does
 * this file.
 */
#include "daemon/linker/unwind.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

/* DW_EH_PE_*: a format in the low half, what it is relative to in the high half. */
enum { ENCODING_ABSOLUTE = 0x00, ENCODING_PC_RELATIVE = 0x10, ENCODING_OMIT = 0xff };
enum { HEADER_VERSION = 1, HEADER_POINTER = 0x1b, HEADER_COUNT = 0x03, HEADER_TABLE = 0x3b };
enum { BARE_HEADER_BYTES = 8, HEADER_BYTES = 12, ENTRY_BYTES = 8, AUGMENTATION_LETTERS = 8 };
enum { COMMON_CIE_ENCODING = 0x1b };

struct walk {
    const uint8_t *content;
    uint64_t length;
    uint64_t next; /* offset of the record to look at */
    struct error *error;
    uint64_t cie; /* offset of the CIE that `encoding` and `augmented` were read from; UINT64_MAX before the first */
    uint8_t encoding;
    bool augmented;
    bool common_cie; /* as in struct unwind_shape, so far */
    bool omitted;    /* the common CIE is not there, and nothing else will do */
};

/* A record's body, or what is left of it. */
struct span {
    uint64_t at;
    uint64_t end;
};

struct description {
    uint64_t offset; /* of the record */
    uint64_t field;  /* offset of its first pointer */
    uint8_t encoding;
};

static int refuse(const struct walk *walk, uint64_t record, const char *what)
{
    error_set(walk->error, ERROR_OBJECT_SECTION, ".eh_frame+%#" PRIx64 ": %s", record, what);
    error_set_section(walk->error, ".eh_frame", record);
    return ERROR_OBJECT_SECTION;
}

static bool take_byte(const struct walk *walk, struct span *span, uint8_t *byte)
{
    if (span->at == span->end)
        return false;
    *byte = walk->content[span->at++];
    return true;
}

/* Signed and unsigned LEB128 alike, as far as 64 bits go; ten bytes hold as many. */
static bool take_leb128(const struct walk *walk, struct span *span, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte;
        if (!take_byte(walk, span, &byte))
            return false;
        *value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool skip(struct span *span, uint64_t bytes)
{
    if (bytes > span->end - span->at)
        return false;
    span->at += bytes;
    return true;
}

/* Bytes of an encoded pointer; 0 for formats that have no fixed size or are unknown. */
static unsigned format_bytes(uint8_t encoding)
{
    static const uint8_t sizes[16] = {[0x0] = 8, [0x2] = 2, [0x3] = 4, [0x4] = 8, [0xa] = 2, [0xb] = 4, [0xc] = 8};
    return sizes[encoding & 0x0f];
}

/* Pointers to code: absolute or relative to their place, in 4 or 8 bytes. */
static bool is_code_encoding(uint8_t encoding)
{
    uint8_t base = encoding & 0xf0;
    return (base == ENCODING_ABSOLUTE || base == ENCODING_PC_RELATIVE) && format_bytes(encoding) >= 4;
}

static const char *parse_personality(const struct walk *walk, struct span *span)
{
    uint8_t encoding;
    if (!take_byte(walk, span, &encoding))
        return "CIE: augmentation data end early";
    if (encoding == ENCODING_OMIT)
        return NULL;
    /* 0x50 (aligned) has an absolute format, but padding before it. */
    if ((encoding & 0x70) == 0x50 || format_bytes(encoding) == 0)
        return "CIE: encoding of the personality routine is not known";
    return skip(span, format_bytes(encoding)) ? NULL : "CIE: augmentation data end early";
}

/* The letters behind 'z'. */
static const char *parse_augmentation(struct walk *walk, const char *letters, struct span *span)
{
    uint8_t language_data;
    for (; *letters; letters++) {
        const char *wrong = NULL;
        switch (*letters) {
        case 'R':
            if (!take_byte(walk, span, &walk->encoding))
                wrong = "CIE: augmentation data end early";
            break;
        case 'L':
            if (!take_byte(walk, span, &language_data))
                wrong = "CIE: augmentation data end early";
            break;
        case 'P':
            wrong = parse_personality(walk, span);
            break;
        case 'S': /* a signal frame */
        case 'B': /* signed return addresses (aarch64) */
            break;
        default:
            wrong = "CIE: augmentation is not known";
        }
        if (wrong)
            return wrong;
    }
    return NULL;
}

static bool take_string(const struct walk *walk, struct span *span, char letters[AUGMENTATION_LETTERS])
{
    for (unsigned i = 0; i < AUGMENTATION_LETTERS; i++) {
        uint8_t byte;
        if (!take_byte(walk, span, &byte))
            return false;
        letters[i] = (char)byte;
        if (byte == 0)
            return true;
    }
    return false;
}

/* `span` is the CIE's body behind its zero id. NULL or what is wrong. */
static const char *parse_cie_body(struct walk *walk, struct span *span)
{
    uint8_t version, return_register;
    uint64_t alignment, number;
    char letters[AUGMENTATION_LETTERS];
    if (!take_byte(walk, span, &version) || (version != 1 && version != 3))
        return "CIE: version is not 1 or 3";
    if (!take_string(walk, span, letters))
        return "CIE: augmentation does not end";
    if (!take_leb128(walk, span, &alignment) || !take_leb128(walk, span, &alignment))
        return "CIE: alignment factors do not end";
    if (version == 1 ? !take_byte(walk, span, &return_register) : !take_leb128(walk, span, &number))
        return "CIE: the return register is missing";
    walk->encoding = ENCODING_ABSOLUTE;
    walk->augmented = letters[0] == 'z';
    if (letters[0] == '\0')
        return NULL;
    if (!walk->augmented)
        return "CIE: augmentation is not known";
    if (!take_leb128(walk, span, &number) || number > span->end - span->at)
        return "CIE: augmentation data are past the end of the record";
    struct span data = {.at = span->at, .end = span->at + number};
    const char *wrong = parse_augmentation(walk, letters + 1, &data);
    if (wrong)
        return wrong;
    return is_code_encoding(walk->encoding) ? NULL : "CIE: encoding of code pointers is not known";
}

/* The body of the record at `offset`. An empty span is the terminator. NULL or what is wrong. */
static const char *find_body(const struct walk *walk, uint64_t offset, struct span *span)
{
    if (!range_within(offset, 4, walk->length))
        return "the record's length is past the end of the section";
    uint32_t length = load_le32(walk->content + offset);
    if (length == UINT32_MAX)
        return "a record in 64-bit form";
    if (!range_within(offset + 4, length, walk->length))
        return "the record is past the end of the section";
    if (length > 0 && length < 4)
        return "the record is too short for a CIE pointer";
    *span = (struct span){.at = offset + 4, .end = offset + 4 + length};
    return NULL;
}

static const char *parse_cie(struct walk *walk, uint64_t offset)
{
    if (walk->cie == offset)
        return NULL;
    struct span span;
    walk->cie = UINT64_MAX;
    const char *wrong = find_body(walk, offset, &span);
    if (wrong)
        return wrong;
    if (span.at == span.end || load_le32(walk->content + span.at) != 0)
        return "FDE: its CIE pointer leads to no CIE";
    span.at += 4;
    wrong = parse_cie_body(walk, &span);
    if (!wrong)
        walk->cie = offset;
    return wrong;
}

/* `span` is the FDE's body, the CIE pointer included. */
static const char *parse_fde(struct walk *walk, struct span *span, struct description *description)
{
    uint32_t back = load_le32(walk->content + span->at);
    if (back > span->at)
        return "FDE: its CIE pointer leads out of the section";
    walk->common_cie &= back == span->at;
    if (walk->omitted && !walk->common_cie)
        return "FDE: its CIE pointer leads to no CIE";
    const char *wrong = parse_cie(walk, span->at - back);
    if (wrong)
        return wrong;
    span->at += 4;
    description->field = span->at;
    description->encoding = walk->encoding;
    if (!skip(span, 2 * format_bytes(walk->encoding)))
        return "FDE: too short for its code range";
    uint64_t augmentation;
    if (walk->augmented && (!take_leb128(walk, span, &augmentation) || augmentation > span->end - span->at))
        return "FDE: augmentation data are past the end of the record";
    return NULL;
}

static const char *parse_record(struct walk *walk, uint64_t record, struct span *span, bool is_fde,
                                struct description *description)
{
    if (is_fde)
        return parse_fde(walk, span, description);
    walk->common_cie = false;
    return walk->omitted ? "CIE: relocations made it" : parse_cie(walk, record);
}

/* Advances to the next FDE. `found` is false at the end. */
static int next_fde(struct walk *walk, struct description *description, bool *found)
{
    *found = false;
    while (walk->next < walk->length) {
        uint64_t record = walk->next;
        struct span span;
        const char *wrong = find_body(walk, record, &span);
        if (wrong)
            return refuse(walk, record, wrong);
        if (span.at == span.end) {
            walk->next = walk->length;
            return 0;
        }
        walk->next = span.end;
        *found = load_le32(walk->content + span.at) != 0;
        description->offset = record;
        wrong = parse_record(walk, record, &span, *found, description);
        if (wrong)
            return refuse(walk, record, wrong);
        if (*found)
            return 0;
    }
    return 0;
}

/* The section begins with the common CIE, whose parsing would give these. */
static void pass_common_cie(struct walk *walk, uint32_t bytes)
{
    walk->common_cie = true;
    walk->next = bytes;
    walk->cie = 0;
    walk->encoding = COMMON_CIE_ENCODING;
    walk->augmented = true;
}

int unwind_check(const struct arch *arch, const uint8_t *content, uint64_t length, struct unwind_shape *shape,
                 struct error *error)
{
    struct walk walk = {.content = content, .length = length, .error = error, .cie = UINT64_MAX};
    struct description description;
    *shape = (struct unwind_shape){0};
    if (!content && length > 0)
        return refuse(&walk, 0, "the section has no contents (SHT_NOBITS)");
    if (length >= arch->common_cie_bytes && memcmp(content, arch->common_cie, arch->common_cie_bytes) == 0)
        pass_common_cie(&walk, arch->common_cie_bytes);
    for (;;) {
        bool found;
        int code = next_fde(&walk, &description, &found);
        if (code)
            return code;
        if (!found)
            break;
        shape->fde_count++;
    }
    shape->common_cie = walk.common_cie;
    return 0;
}

/* Several sections may have a terminator each, at which a walk would end. */
static bool has_entries(uint32_t fde_count, uint32_t sections)
{
    return fde_count > UNWIND_WALKED_MOST || sections > 1;
}

uint64_t unwind_header_bytes(uint32_t fde_count, uint32_t sections)
{
    return has_entries(fde_count, sections) ? HEADER_BYTES + (uint64_t)ENTRY_BYTES * fde_count : BARE_HEADER_BYTES;
}

/* The first code address of a description. `address` is the section's. */
static uint64_t read_code_pointer(const struct walk *walk, const struct description *description, uint64_t address)
{
    const uint8_t *at = walk->content + description->field;
    uint8_t format = description->encoding & 0x0f;
    uint64_t value = format_bytes(format) == 8 ? load_le64(at) : load_le32(at);
    if (format == 0x0b)
        value = (uint64_t)(int64_t)(int32_t)value;
    return (description->encoding & 0xf0) == ENCODING_PC_RELATIVE ? value + address + description->field : value;
}

static bool is_signed_32(uint64_t value)
{
    return value == (uint64_t)(int64_t)(int32_t)value;
}

static int compare_entries(const void *a, const void *b)
{
    int32_t left = (int32_t)load_le32(a), right = (int32_t)load_le32(b);
    return (left > right) - (left < right);
}

/* Compilers emit functions in the order of their addresses, but for those that went to a section of their own. */
static void sort_entries(uint8_t *entries, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (compare_entries(entries + ENTRY_BYTES * (i - 1), entries + ENTRY_BYTES * i) <= 0)
            continue;
        qsort(entries, count, ENTRY_BYTES, compare_entries);
        return;
    }
}

static bool write_entry(struct unwind_frames *frames, uint64_t code_address, uint64_t record_address)
{
    uint8_t *entry = frames->header + HEADER_BYTES + (uint64_t)ENTRY_BYTES * frames->listed++;
    uint64_t code_distance = code_address - frames->header_address;
    uint64_t fde_distance = record_address - frames->header_address;
    if (!is_signed_32(code_distance) || !is_signed_32(fde_distance))
        return false;
    store_le32(entry, (uint32_t)code_distance);
    store_le32(entry + 4, (uint32_t)fde_distance);
    return true;
}

/* A range that begins at 0 and is empty, which every reader passes over. */
static void clear_range(const struct unwind_frames *frames, const struct description *description)
{
    memset(frames->bytes + description->field, 0, 2 * format_bytes(description->encoding));
}

static void lead_to_common_cie(const struct unwind_frames *frames, const struct description *description)
{
    uint64_t pointer = description->offset + 4;
    store_le32(frames->bytes + pointer, (uint32_t)(frames->address + pointer - frames->cie_address));
}

int unwind_build(struct unwind_frames *frames, struct error *error)
{
    struct walk walk = {.content = frames->bytes, .length = frames->length, .error = error, .cie = UINT64_MAX};
    bool entries = has_entries(frames->fde_count, frames->sections);
    if (frames->built++ == 0)
        frames->first_address = frames->address;
    walk.omitted = frames->omitted > 0;
    if (walk.omitted)
        pass_common_cie(&walk, frames->omitted);
    if (!is_signed_32(frames->address + frames->omitted - (frames->header_address + 4)))
        return refuse(&walk, 0, "out of reach of its own table");
    for (;; frames->seen++) {
        struct description description;
        bool found;
        int code = next_fde(&walk, &description, &found);
        if (code)
            return code;
        if (!found)
            break;
        if (frames->seen == frames->fde_count)
            return refuse(&walk, description.offset, "relocations made more FDEs of it than there were");
        uint64_t code_address = read_code_pointer(&walk, &description, frames->address);
        bool present = code_address >= frames->code_low && code_address < frames->code_high;
        if (frames->omitted)
            lead_to_common_cie(frames, &description);
        if (!present && !entries)
            clear_range(frames, &description);
        if (present && entries && !write_entry(frames, code_address, frames->address + description.offset))
            return refuse(&walk, description.offset, "FDE: its code is out of reach of the table");
    }
    return 0;
}

/* Without entries, the first eight bytes alone. Entries that are not needed become zeros. */
void unwind_finish(const struct unwind_frames *frames)
{
    uint8_t *header = frames->header, *entries = header + HEADER_BYTES;
    bool has = has_entries(frames->fde_count, frames->sections);
    header[0] = HEADER_VERSION;
    header[1] = HEADER_POINTER;
    header[2] = has ? HEADER_COUNT : ENCODING_OMIT;
    header[3] = has ? HEADER_TABLE : ENCODING_OMIT;
    store_le32(header + 4, (uint32_t)(frames->first_address + frames->omitted - (frames->header_address + 4)));
    if (!has)
        return;
    sort_entries(entries, frames->listed);
    store_le32(header + 8, frames->listed);
    memset(entries + (uint64_t)ENTRY_BYTES * frames->listed, 0,
           (uint64_t)ENTRY_BYTES * (frames->fde_count - frames->listed));
}
