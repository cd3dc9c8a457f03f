/*
 * Manifests as tests write them: lists in place, with their counts.
 *
 *     const struct jitd_manifest manifest = {USES({.local = "f", .flags = JITD_USE_LAZY})};
 */
#ifndef TESTS_INTEGRATION_MANIFEST_H
#define TESTS_INTEGRATION_MANIFEST_H

#include "client/jitd.h"

#define DEFINITIONS(...)                                                                                               \
    .definitions = (const struct jitd_manifest_definition[]){__VA_ARGS__},                                             \
    .definition_count =                                                                                                \
        sizeof((const struct jitd_manifest_definition[]){__VA_ARGS__}) / sizeof(struct jitd_manifest_definition)
#define USES(...)                                                                                                      \
    .uses = (const struct jitd_manifest_use[]){__VA_ARGS__},                                                           \
    .use_count = sizeof((const struct jitd_manifest_use[]){__VA_ARGS__}) / sizeof(struct jitd_manifest_use)
#define ABSOLUTES(...)                                                                                                 \
    .absolutes = (const struct jitd_absolute[]){__VA_ARGS__},                                                          \
    .absolute_count = sizeof((const struct jitd_absolute[]){__VA_ARGS__}) / sizeof(struct jitd_absolute)
#define ALIASES(...)                                                                                                   \
    .aliases = (const struct jitd_alias[]){__VA_ARGS__},                                                               \
    .alias_count = sizeof((const struct jitd_alias[]){__VA_ARGS__}) / sizeof(struct jitd_alias)
#define LAZIES(...)                                                                                                    \
    .lazies = (const struct jitd_lazy_definition[]){__VA_ARGS__},                                                      \
    .lazy_count = sizeof((const struct jitd_lazy_definition[]){__VA_ARGS__}) / sizeof(struct jitd_lazy_definition)
#define ACTIONS(...)                                                                                                   \
    .actions = (const struct jitd_manifest_action[]){__VA_ARGS__},                                                     \
    .action_count = sizeof((const struct jitd_manifest_action[]){__VA_ARGS__}) / sizeof(struct jitd_manifest_action)

#endif
