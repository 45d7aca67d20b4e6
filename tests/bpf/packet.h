/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets for tests of the data path: the builder and the oracle that `shunt test` has, too. */
#ifndef SHUNT_TESTS_BPF_PACKET_H
#define SHUNT_TESTS_BPF_PACKET_H

#include "util/packet.h"

#endif
