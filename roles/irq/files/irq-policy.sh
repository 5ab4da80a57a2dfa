#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# irqbalance asks for each interrupt, with the device's sysfs path and the number (irqbalance(1), --policyscript).
exec /usr/local/libexec/fleet/irq-affinity policy "$1" "$2"
