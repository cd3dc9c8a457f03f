/*
 * Says which layers of confinement a session lacks, so that nobody takes for confined what is not.
 */
#ifndef JITCTL_LAYERS_H
#define JITCTL_LAYERS_H

#include <stdint.h>

#include "client/jitd.h"

/* One line on standard error that names the layers which the profile has and `layers` (of struct jitd_welcome) has not;
   nothing where there are none, or where JITD_LOG asks for errors alone. */
void layers_complain(enum jitd_profile profile, uint32_t layers);

#endif
