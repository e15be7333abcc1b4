// Aliases and filters as the operators of a client write them: RFC 7951 documents -> checked entries.
//
// What a client must never send is refused here, before anything leaves (RFC 8783 4.2, 6.1), and so is what the server
// does not announce (7.1).
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "data/fault.h"
#include "data/instance.h"
#include "ports/store.h"

namespace dots::data::client {

using Kind = ports::DataEntryKind;

struct Entry {
  Kind kind = Kind::alias;
  Instance config;  // complete and checked, children in the order of the table
};

// "alias", "filter": the words of operators.
std::string_view word_of(Kind kind);
// The list node, and the container that it stands in.
const Node& list_of(Kind kind);
const Node& container_of(Kind kind);
// REQUIRES: has its key.
const std::string& name_of(const Instance& entry);

// {"ietf-dots-data-channel:aliases": ...} or ...:acls, both at once, or single entries (...:alias, ...:acl). State is
// passed over, so that what GET gave is a document. `kinds` gets those that the document speaks of, entries or not.
Checked<std::vector<Entry>> read_document(std::string_view json, std::set<Kind>* kinds = nullptr);
// One entry as an object: {"name": ..., ...}. `own`: of a server, whose unknown members are passed over.
Checked<Instance> read_entry(Kind kind, std::string_view json, bool own = false);
// Its configuration as an object, {"name": ...}.
std::string text_of(const Instance& entry);
// Defaults left out, sets sorted: the same for what means the same.
Instance normalised(const Instance& entry);
std::string canonical(const Instance& entry);

// What a server takes (RFC 8783 7.1).
struct Offer {
  Capabilities fields = Capabilities::everything();
  std::vector<std::string> actions;   // empty: not said
  std::vector<std::string> families;  // empty: not said
};
// The body of GET .../capabilities.
Checked<Offer> read_capabilities(std::string_view json);
// The first thing in the entry that the server does not offer.
Checked<void> check_offered(const Entry& entry, const Offer& offer);

}  // namespace dots::data::client
