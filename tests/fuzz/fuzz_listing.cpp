// What a client of the data channel reads of a server: the first byte says as what - host-meta, a listing, one entry,
// an error. What is taken keeps the promises of restconf.h and can be sent again; what is refused says why, in plain
// text.
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "data/client/restconf.h"

namespace {

using namespace dots;
using namespace dots::data;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

void require_plain(std::string_view text) {
  require(!text.empty(), "nothing is said");
  for (const char c : text)
    require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "a control character for people");
}

void read_root(std::string_view text) {
  const auto root = client::root_of(text, "dots.example.net");
  if (!root) return require_plain(root.error().message);
  require(root->empty() || (root->front() == '/' && root->back() != '/'), "the root is no path");
  for (const char c : *root)
    require(c > ' ' && c < 0x7f && c != '?' && c != '#', "the root would end in a request line");
}

void read_listing(client::Kind kind, std::string_view text) {
  const auto entries = client::listed(kind, text);
  if (!entries) return require_plain(entries.error().message);
  std::set<std::string> names;
  for (const auto& one : *entries) require(names.insert(one.name).second, "a name stands there twice");
}

void read_entry(client::Kind kind, std::string_view text) {
  const auto entry = client::single_entry(kind, "web", text);
  if (!entry) return require_plain(entry.error().message);
  require(keys_of(*entry) == std::vector<std::string>{"web"}, "another entry than was asked for");
  // What was read can be put again, and is the same then.
  const auto again = client::single_entry(kind, "web", client::entry_body(*entry));
  require(again.ok(), "its own text cannot be read");
  require(client::entry_body(*again) == client::entry_body(*entry), "its own text is another entry");
}

void read_error(std::string_view text) {
  ports::HttpAnswer answer;
  answer.status = 409;
  answer.headers.add("Content-Type", "application/yang-data+json");
  answer.body = text;
  (void)client::names_quota(client::error_of(answer));
  require_plain(client::explain(answer));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto kind = (data[0] & 1U) != 0 ? client::Kind::acl : client::Kind::alias;
  switch (data[0] >> 1U & 3U) {
    case 0:
      read_root(text);
      break;
    case 1:
      read_listing(kind, text);
      break;
    case 2:
      read_entry(kind, text);
      break;
    default:
      read_error(text);
      break;
  }
  return 0;
}
