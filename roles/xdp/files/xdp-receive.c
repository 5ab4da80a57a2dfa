// SPDX-License-Identifier: Apache-2.0
// Managed by Ansible (role xdp). Receives numbered UDP frames through one AF_XDP socket, as a trading engine would.
//
//   xdp-receive INTERFACE QUEUE skb|driver copy|zero-copy OBJECT COUNT
//
// Prints "ready" once the socket is bound and the program attached, "taken N" after every full window of frames, and
// ends with 0 when COUNT frames have come complete and in order. XDP_COPY or XDP_ZEROCOPY is always asked for by name,
// so the kernel refuses what the driver cannot do instead of falling back (Documentation/networking/af_xdp.rst).
// With COUNT 0 it only binds, and attaches nothing.
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <linux/ip.h>
#include <linux/netdev.h>
#include <linux/udp.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/xsk.h>

// 4096 frames of 4096 bytes are 16 MiB of locked memory: more than the 8 MiB that a unit may lock by default.
enum { FRAMES = 4096, FRAME_SIZE = XSK_UMEM__DEFAULT_FRAME_SIZE, RING = 4096, WINDOW = 1024 };
enum { IDLE_MS = 20000, BUSY_TRIES = 50, BUSY_US = 100000 };

struct receiver {
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion;
	struct xsk_ring_cons rx;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	uint8_t *memory;
};

static void fail(const char *format, ...)
{
	va_list words;

	va_start(words, format);
	vfprintf(stderr, format, words);
	va_end(words);
	fputc('\n', stderr);
	exit(1);
}

static int bind_socket(struct receiver *receiver, const char *interface, uint32_t queue, int bind_flags)
{
	const struct xsk_umem_config memory = {.fill_size = RING, .comp_size = RING, .frame_size = FRAME_SIZE};
	const struct xsk_socket_config config = {
		.rx_size = RING,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = bind_flags | XDP_USE_NEED_WAKEUP,
	};
	int error = xsk_umem__create(&receiver->umem, receiver->memory, (uint64_t)FRAMES * FRAME_SIZE, &receiver->fill,
				     &receiver->completion, &memory);

	if (error)
		fail("the kernel does not register %d MiB of frames (CAP_NET_RAW? LimitMEMLOCK=?): %s",
		     FRAMES * FRAME_SIZE / 1048576, strerror(-error));
	error = xsk_socket__create(&receiver->socket, interface, queue, receiver->umem, &receiver->rx, NULL, &config);
	if (error)
		xsk_umem__delete(receiver->umem);
	return error;
}

static void open_socket(struct receiver *receiver, const char *interface, uint32_t queue, int bind_flags)
{
	uint32_t index;
	int error, tries = 0;

	receiver->memory = mmap(NULL, (size_t)FRAMES * FRAME_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (receiver->memory == MAP_FAILED)
		fail("no memory for the frames: %s", strerror(errno));
	// The kernel lets a queue go a moment after the process that had it: an engine that restarts meets this as well.
	while ((error = bind_socket(receiver, interface, queue, bind_flags)) == -EBUSY && ++tries < BUSY_TRIES)
		usleep(BUSY_US);
	if (error)
		fail("no socket on %s queue %u in %s mode: %s", interface, queue,
		     bind_flags & XDP_ZEROCOPY ? "zero-copy" : "copy", strerror(-error));
	if (xsk_ring_prod__reserve(&receiver->fill, FRAMES, &index) != FRAMES)
		fail("the fill ring does not take %d frames", FRAMES);
	for (uint32_t frame = 0; frame < FRAMES; frame++)
		*xsk_ring_prod__fill_addr(&receiver->fill, index + frame) = (uint64_t)frame * FRAME_SIZE;
	xsk_ring_prod__submit(&receiver->fill, FRAMES);
}

// The link ends with the process: nothing stays on the interface, whatever happens to us.
static void attach(struct receiver *receiver, const char *object_file, int interface, uint32_t queue, uint32_t mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = mode);
	struct bpf_object *object = bpf_object__open_file(object_file, NULL);
	int socket = xsk_socket__fd(receiver->socket);
	int error, map;

	if (!object)
		fail("%s is not a BPF object: %s", object_file, strerror(errno));
	error = bpf_object__load(object);
	if (error)
		fail("the kernel does not load the XDP program (CAP_BPF and CAP_NET_ADMIN?): %s", strerror(-error));
	map = bpf_object__find_map_fd_by_name(object, "sockets");
	if (bpf_map_update_elem(map, &queue, &socket, BPF_ANY))
		fail("the socket cannot be entered for queue %u: %s", queue, strerror(errno));
	if (bpf_link_create(bpf_program__fd(bpf_object__find_program_by_name(object, "redirect")), interface, BPF_XDP,
			    &options) < 0)
		fail("the XDP program cannot be attached in %s mode: %s",
		     mode == XDP_FLAGS_SKB_MODE ? "skb" : "driver", strerror(errno));
}

static void check_frame(const uint8_t *frame, uint32_t length, uint32_t expected)
{
	const size_t headers = sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr);
	uint32_t number;

	if (length < headers + sizeof(number))
		fail("frame %u is cut short at %u bytes", expected, length);
	memcpy(&number, frame + headers, sizeof(number));
	if (ntohl(number) != expected)
		fail("frame %u came where %u was due", ntohl(number), expected);
}

// Each frame goes back to the kernel once it has been read, so the memory is used over and over.
static void receive(struct receiver *receiver, uint32_t count)
{
	struct pollfd wait = {.fd = xsk_socket__fd(receiver->socket), .events = POLLIN};
	uint32_t taken = 0;

	while (taken < count) {
		uint32_t from, to, got = xsk_ring_cons__peek(&receiver->rx, 64, &from);

		if (got == 0) {
			if (poll(&wait, 1, IDLE_MS) == 0)
				fail("frame %u did not come within %d s", taken, IDLE_MS / 1000);
			continue;
		}
		// The kernel shows a frame a moment before it gives back the entry that held it (net/xdp/xsk.c, xsk_flush).
		for (int waited = 0; xsk_ring_prod__reserve(&receiver->fill, got, &to) != got; waited++) {
			if (waited == IDLE_MS)
				fail("the fill ring stays full though %u frames were taken out", got);
			poll(NULL, 0, 1);
		}
		for (uint32_t i = 0; i < got; i++) {
			const struct xdp_desc *frame = xsk_ring_cons__rx_desc(&receiver->rx, from + i);

			check_frame(xsk_umem__get_data(receiver->memory, frame->addr), frame->len, taken);
			*xsk_ring_prod__fill_addr(&receiver->fill, to + i) = xsk_umem__extract_addr(frame->addr);
			if (++taken % WINDOW == 0)
				printf("taken %u\n", taken);
		}
		xsk_ring_prod__submit(&receiver->fill, got);
		xsk_ring_cons__release(&receiver->rx, got);
	}
}

static void report_losses(const struct receiver *receiver)
{
	struct xdp_statistics lost;
	socklen_t size = sizeof(lost);

	if (getsockopt(xsk_socket__fd(receiver->socket), SOL_XDP, XDP_STATISTICS, &lost, &size))
		fail("no statistics of the socket: %s", strerror(errno));
	if (lost.rx_dropped || lost.rx_ring_full || lost.rx_invalid_descs)
		fail("the kernel dropped frames: %llu without memory, %llu with a full ring, %llu with bad descriptors",
		     lost.rx_dropped, lost.rx_ring_full, lost.rx_invalid_descs);
}

// What the driver says of itself, before asking for it.
static int advertises_zero_copy(int interface)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, driver);

	return bpf_xdp_query(interface, 0, &driver) == 0 && (driver.feature_flags & NETDEV_XDP_ACT_XSK_ZEROCOPY);
}

int main(int words, char **word)
{
	struct receiver receiver = {0};
	int interface;
	uint32_t queue, count, mode;
	int zero_copy;

	if (words != 7) {
		fprintf(stderr, "usage: %s INTERFACE QUEUE skb|driver copy|zero-copy OBJECT COUNT\n", word[0]);
		return 2;
	}
	interface = if_nametoindex(word[1]);
	if (!interface)
		fail("there is no interface %s", word[1]);
	queue = strtoul(word[2], NULL, 10);
	mode = strcmp(word[3], "skb") ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
	zero_copy = !strcmp(word[4], "zero-copy");
	count = strtoul(word[6], NULL, 10);
	setvbuf(stdout, NULL, _IOLBF, 0);

	if (zero_copy)
		printf("driver advertises zero-copy: %s\n", advertises_zero_copy(interface) ? "yes" : "no");
	open_socket(&receiver, word[1], queue, zero_copy ? XDP_ZEROCOPY : XDP_COPY);
	if (count)
		attach(&receiver, word[5], interface, queue, mode);
	printf("ready\n");
	receive(&receiver, count);
	report_losses(&receiver);
	printf("received %u frames in order, none lost\n", count);
	return 0;
}
