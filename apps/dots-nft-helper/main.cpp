// SPDX-License-Identifier: GPL-2.0-only
//
// dots-nft-helper: changes one nftables table on behalf of dotsd, and is the only part that may. It speaks JSON lines
// over an inherited socket (--fd N) or, by hand, over standard input and output. See docs/decisions/nft-helper.md.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include "privileges.h"
#include "server.h"

namespace {

constexpr const char* kUsage =
    "usage: dots-nft-helper [--table NAME] [--fd N]\n"
    "Changes the nftables table 'inet NAME' (default tidewall) as JSON lines ask.\n"
    "  --fd N   the socket to talk over; without it, standard input and output\n";

}  // namespace

int main(int argc, char** argv) try {
  std::string table = "tidewall";
  int fd = -1;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--help") return std::fputs(kUsage, stdout), 0;
    if (argument == "--table" && i + 1 < argc) {
      table = argv[++i];
    } else if (argument == "--fd" && i + 1 < argc) {
      char* end = nullptr;
      const long number = std::strtol(argv[++i], &end, 10);
      if (end == argv[i] || *end != '\0' || number < 0 || number > 1023) return std::fputs(kUsage, stderr), 2;
      fd = static_cast<int>(number);
    } else {
      return std::fputs(kUsage, stderr), 2;
    }
  }
  if (!nfthelper::valid_table_name(table)) {
    std::fputs("dots-nft-helper: a table name is a lower-case letter and at most 31 of a-z, 0-9 and _\n", stderr);
    return 2;
  }
  std::string why_not;
  if (!nfthelper::keep_only_net_admin(why_not)) {
    std::fprintf(stderr, "dots-nft-helper: %s\n", why_not.c_str());
    return 3;
  }
  std::signal(SIGPIPE, SIG_IGN);
  nfthelper::Channel channel(fd < 0 ? 0 : fd, fd < 0 ? 1 : fd);
  nfthelper::Table owned(table);
  return nfthelper::serve(channel, owned, nfthelper::has_net_admin());
} catch (const std::exception& error) {
  std::fprintf(stderr, "dots-nft-helper: %s\n", error.what());
  return 4;
}
