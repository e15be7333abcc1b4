// SPDX-License-Identifier: GPL-2.0-only
#include "netlink.h"

#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>

#include "elements.h"

namespace nfthelper {

Netlink::~Netlink() {
  if (socket_ != nullptr) mnl_socket_close(socket_);
}

Outcome Netlink::open() {
  if (socket_ != nullptr) return {};
  socket_ = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
  if (socket_ == nullptr) return Outcome::failed(errno, std::string("cannot open netlink: ") + std::strerror(errno));
  if (mnl_socket_bind(socket_, 0, MNL_SOCKET_AUTOPID) < 0) {
    const int error = errno;
    mnl_socket_close(socket_);
    socket_ = nullptr;
    return Outcome::failed(error, std::string("cannot bind netlink: ") + std::strerror(error));
  }
  const int on = 1;
  mnl_socket_setsockopt(socket_, NETLINK_CAP_ACK, const_cast<int*>(&on), sizeof on);
  // Room for one error for each message of the largest batch; forced if we may, else as much as everybody gets.
  const int size = 4 << 20;
  const int fd = mnl_socket_get_fd(socket_);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  }
  return {};
}

namespace {

// One message for each element: an error then names the change that it belongs to.
constexpr std::size_t kMessageRoom = 1024;

void put_change(char* at, std::uint32_t sequence, const std::string& table, const ElementChange& change, bool ack) {
  const auto type = static_cast<std::uint16_t>(change.add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM);
  const int flags = (change.add ? NLM_F_CREATE | NLM_F_EXCL : 0) | (ack ? NLM_F_ACK : 0);
  nlmsghdr* header = nftnl_nlmsg_build_hdr(at, type, NFPROTO_INET, static_cast<std::uint16_t>(flags), sequence);
  const SetHandle set = make_set(table, change.set);
  nftnl_set_elem_add(set.get(), make_element(change));
  nftnl_set_elems_nlmsg_build_payload(header, set.get());
}

}  // namespace

Outcome Netlink::change(const std::string& table, const std::vector<ElementChange>& changes) {
  if (changes.empty()) return {};
  if (const Outcome opened = open(); !opened.ok()) return opened;
  std::vector<char> batch((changes.size() + 2) * kMessageRoom);
  std::size_t used = 0;
  const std::uint32_t first = sequence_;
  used += nftnl_batch_begin(batch.data(), sequence_++)->nlmsg_len;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    char* at = batch.data() + used;
    put_change(at, sequence_++, table, changes[i], i + 1 == changes.size());
    used += NLMSG_ALIGN(reinterpret_cast<nlmsghdr*>(at)->nlmsg_len);
  }
  const std::uint32_t last = sequence_ - 1;
  used += nftnl_batch_end(batch.data() + used, sequence_++)->nlmsg_len;

  const int fd = mnl_socket_get_fd(socket_);
  if (mnl_socket_sendto(socket_, batch.data(), used) < 0) {
    const int error = errno;
    return Outcome::failed(error, error == EMSGSIZE ? "the transaction of " + std::to_string(changes.size()) +
                                                          " elements does not fit into the socket buffer"
                                                    : std::string("netlink: ") + std::strerror(error));
  }
  // The kernel has worked when send returns; all its answers are queued.
  Outcome outcome;
  bool acknowledged = false;
  std::vector<char> answer(1u << 16);
  for (;;) {
    const ssize_t n = recv(fd, answer.data(), answer.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == ENOBUFS) {
      if (outcome.ok()) outcome = Outcome::failed(ENOBUFS, "more errors than the socket buffer holds");
      continue;
    }
    if (n <= 0) break;
    int left = static_cast<int>(n);
    for (const auto* header = reinterpret_cast<const nlmsghdr*>(answer.data()); mnl_nlmsg_ok(header, left);
         header = mnl_nlmsg_next(header, &left)) {
      if (header->nlmsg_type != NLMSG_ERROR || header->nlmsg_seq < first) continue;
      const auto* report = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header));
      if (report->error == 0) {
        acknowledged = acknowledged || header->nlmsg_seq == last;
      } else if (outcome.ok()) {
        const std::uint32_t index = header->nlmsg_seq - first - 1;
        const std::size_t tag = index < changes.size() ? changes[index].tag : changes.front().tag;
        outcome = Outcome::failed(-report->error, std::strerror(-report->error), tag);
      }
    }
  }
  if (outcome.ok() && !acknowledged) return Outcome::failed(EIO, "the kernel did not confirm the transaction");
  return outcome;
}

Outcome Netlink::elements(const std::string& table, const std::string& set, std::vector<Element>& out) {
  return dump(
      NFT_MSG_GETSETELEM, NFPROTO_INET,
      [&](nlmsghdr* header) {
        const SetHandle wanted = make_set(table, set);
        nftnl_set_elems_nlmsg_build_payload(header, wanted.get());
        out.clear();
      },
      [&](const nlmsghdr* header) {
        const SetHandle part(nftnl_set_alloc());
        if (nftnl_set_elems_nlmsg_parse(header, part.get()) == 0) read_elements(part.get(), out);
      });
}

Outcome Netlink::dump(std::uint16_t type, std::uint16_t family, const std::function<void(nlmsghdr*)>& fill,
                      const Parse& parse) {
  // A change between two parts of a dump spoils it (EINTR); `fill` begins anew.
  Outcome outcome;
  for (int tries = 0; tries < 20; ++tries) {
    outcome = dump_once(type, family, fill, parse);
    if (outcome.error != EINTR) return outcome;
  }
  return outcome;
}

Outcome Netlink::dump_once(std::uint16_t type, std::uint16_t family, const std::function<void(nlmsghdr*)>& fill,
                           const Parse& parse) {
  if (const Outcome opened = open(); !opened.ok()) return opened;
  std::array<char, 4096> request{};
  const std::uint32_t sequence = sequence_++;
  nlmsghdr* header = nftnl_nlmsg_build_hdr(request.data(), type, family, NLM_F_DUMP, sequence);
  fill(header);
  bool spoiled = false;
  const Outcome outcome = converse(header, [&](const nlmsghdr* part) {
    if ((part->nlmsg_flags & NLM_F_DUMP_INTR) != 0) spoiled = true;
    if (part->nlmsg_type == NLMSG_DONE) return true;
    parse(part);
    return false;
  });
  if (outcome.ok() && spoiled) return Outcome::failed(EINTR, "the packet filter changes too fast to be read");
  return outcome;
}

Outcome Netlink::converse(const nlmsghdr* request, const std::function<bool(const nlmsghdr*)>& part) {
  if (mnl_socket_sendto(socket_, request, request->nlmsg_len) < 0) {
    return Outcome::failed(errno, std::string("netlink: ") + std::strerror(errno));
  }
  std::vector<char> answer(1u << 16);
  for (;;) {
    const ssize_t n = mnl_socket_recvfrom(socket_, answer.data(), answer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Outcome::failed(errno, std::string("netlink: ") + std::strerror(errno));
    int left = static_cast<int>(n);
    for (const auto* one = reinterpret_cast<const nlmsghdr*>(answer.data()); mnl_nlmsg_ok(one, left);
         one = mnl_nlmsg_next(one, &left)) {
      if (one->nlmsg_seq != request->nlmsg_seq) continue;
      if (one->nlmsg_type == NLMSG_ERROR) {
        const auto* report = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(one));
        if (report->error == 0) return {};
        return Outcome::failed(-report->error, std::strerror(-report->error));
      }
      if (part(one)) return {};
    }
  }
}

}  // namespace nfthelper
