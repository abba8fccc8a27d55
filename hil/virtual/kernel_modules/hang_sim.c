// SPDX-License-Identifier: GPL-2.0
// A kernel that hangs: writing 1 to its parameter turns interrupts off and never returns.
#include <linux/module.h>
#include <linux/irqflags.h>
#include <linux/processor.h>
static int set_hang(const char *value, const struct kernel_param *kp)
{
	pr_emerg("hang_sim: this kernel hangs from here on\n");
	local_irq_disable();
	for (;;)
		asm volatile("hlt");
	return 0;
}
static const struct kernel_param_ops ops = { .set = set_hang };
module_param_cb(hang, &ops, NULL, 0200);
MODULE_LICENSE("GPL");
