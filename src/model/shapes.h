// What stands where in a message: for each message (which implies its direction) a tree of attributes with cardinality
// and presence. shapes.inc holds the rows; a new message or extension adds rows (and a name below), nothing else.
//
// Within one message the members of an attribute depend on its key alone, wherever it stands; so a row is (parent,
// child). Codecs, validation, forms and reference pages walk the same tree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "model/attributes.h"

namespace dots::model {

enum class Message : std::uint8_t {
  mitigation_request,      // PUT mitigate (RFC 9132 4.4.1.1)
  efficacy_update,         // PUT mitigate with If-Match (4.4.3)
  filter_control_request,  // PUT mitigate as a server with filter control takes it (RFC 9133 3.2.1)
  mitigation_put_answer,   // 2.01, 2.04 (4.4.1.3)
  mitigation_get_answer,   // 2.05, also as notification (4.4.2)
  mitigation_conflict,     // 4.09 (4.4.1.3)
  mitigation_refusal,      // 4.xx, 5.xx with a reason for programs (docs/extensions.md)
  config_request,          // PUT config (4.5.2)
  config_answer,           // 2.05 (4.5.1)
  redirect,                // 5.03 with an alternate server (4.6)
  heartbeat,               // PUT hb (4.7)
};
inline constexpr std::size_t kMessages = 11;

enum class Direction : std::uint8_t { client_to_server, server_to_client, both };

enum class Presence : std::uint8_t {
  optional,
  mandatory,
  conditional,  // depends on its neighbours; decided where the document becomes a noun
  forbidden,    // refused even if it is comprehension-optional; says why in `section`
};

// One attribute at one place. `max_entries` bounds lists and leaf-lists, 0 = only the limits of the decoder do.
struct ShapeNode {
  Key parent = Key::none;  // Key::none for the members of the message itself
  Key child = Key::none;
  Presence presence = Presence::optional;
  std::uint16_t max_entries = 0;
  Key list_key = Key::none;  // of a keyed list: the leaf that is unique among its entries
  std::string_view section;  // "9132 4.4.1.1", or "extension": ours

  const Attribute* attribute = nullptr;
  std::uint16_t first_member = 0;  // range of the members in Shape::nodes
  std::uint16_t members = 0;
};

// At most this many members of one node, so that "seen" fits a word.
inline constexpr std::size_t kMaxMembers = 64;

struct Shape {
  Message message{};
  Direction direction{};
  std::string_view name;             // "mitigation request"
  std::span<const ShapeNode> nodes;  // ascending by (parent, child)
  std::uint16_t first_member = 0;    // members of the message itself
  std::uint16_t members = 0;

  std::span<const ShapeNode> root() const { return nodes.subspan(first_member, members); }
  std::span<const ShapeNode> members_of(const ShapeNode& node) const {
    return nodes.subspan(node.first_member, node.members);
  }
};

const Shape& shape_of(Message message);
std::span<const Message> messages();
std::string_view to_string(Presence presence);
std::string_view to_string(Direction direction);

}  // namespace dots::model
