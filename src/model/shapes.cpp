#include "model/shapes.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace dots::model {
namespace {

constexpr std::uint32_t bit(Message message) { return 1U << static_cast<unsigned>(message); }

constexpr std::uint32_t kRequest = bit(Message::mitigation_request);
constexpr std::uint32_t kEfficacy = bit(Message::efficacy_update);
constexpr std::uint32_t kFilterControl = bit(Message::filter_control_request);
constexpr std::uint32_t kRequests = kRequest | kEfficacy | kFilterControl;
constexpr std::uint32_t kPutAnswer = bit(Message::mitigation_put_answer);
constexpr std::uint32_t kGetAnswer = bit(Message::mitigation_get_answer);
constexpr std::uint32_t kConflict = bit(Message::mitigation_conflict);
constexpr std::uint32_t kRefusal = bit(Message::mitigation_refusal);
constexpr std::uint32_t kAnswers = kPutAnswer | kGetAnswer | kConflict;
constexpr std::uint32_t kConfigRequest = bit(Message::config_request);
constexpr std::uint32_t kConfigAnswer = bit(Message::config_answer);
constexpr std::uint32_t kRedirect = bit(Message::redirect);
constexpr std::uint32_t kHeartbeat = bit(Message::heartbeat);

struct MessageName {
  Message message;
  Direction direction;
  std::string_view name;
};
constexpr std::array<MessageName, kMessages> kNames = {{
    {Message::mitigation_request, Direction::client_to_server, "mitigation request"},
    {Message::efficacy_update, Direction::client_to_server, "efficacy update"},
    {Message::filter_control_request, Direction::client_to_server, "filter control request"},
    {Message::mitigation_put_answer, Direction::server_to_client, "answer to a mitigation request"},
    {Message::mitigation_get_answer, Direction::server_to_client, "mitigation status"},
    {Message::mitigation_conflict, Direction::server_to_client, "mitigation conflict"},
    {Message::mitigation_refusal, Direction::server_to_client, "mitigation refusal"},
    {Message::config_request, Direction::client_to_server, "session configuration request"},
    {Message::config_answer, Direction::server_to_client, "session configuration"},
    {Message::redirect, Direction::server_to_client, "redirect"},
    {Message::heartbeat, Direction::both, "heartbeat"},
}};

struct Row {
  std::uint32_t messages;
  ShapeNode node;
};
constexpr Row kRows[] = {
#define DOTS_SHAPE(messages, parent, child, presence, max_entries, list_key, section) \
  {messages, {Key::parent, Key::child, Presence::presence, max_entries, Key::list_key, section, nullptr, 0, 0}},
#include "model/shapes.inc"
#undef DOTS_SHAPE
};

constexpr std::size_t rows_of(Message message) {
  return static_cast<std::size_t>(std::count_if(
      std::begin(kRows), std::end(kRows), [message](const Row& row) { return (row.messages & bit(message)) != 0; }));
}

constexpr bool before(const ShapeNode& a, const ShapeNode& b) {
  return a.parent != b.parent ? a.parent < b.parent : a.child < b.child;
}

template <std::size_t N>
struct Tree {
  std::array<ShapeNode, N> nodes{};
  std::uint16_t first_member = 0;
  std::uint16_t members = 0;
  bool sound = true;
};

template <std::size_t N>
constexpr void find_members(const std::array<ShapeNode, N>& nodes, Key parent, std::uint16_t& first,
                            std::uint16_t& count) {
  std::size_t i = 0;
  while (i < N && nodes[i].parent < parent) ++i;
  first = static_cast<std::uint16_t>(i);
  while (i < N && nodes[i].parent == parent) ++i;
  count = static_cast<std::uint16_t>(i - first);
}

template <Message kMessage>
constexpr auto make_tree() {
  Tree<rows_of(kMessage)> tree;
  std::size_t used = 0;
  for (const Row& row : kRows) {
    if ((row.messages & bit(kMessage)) != 0) tree.nodes[used++] = row.node;
  }
  std::sort(tree.nodes.begin(), tree.nodes.end(), before);
  for (std::size_t i = 0; i < used; ++i) {
    ShapeNode& node = tree.nodes[i];
    if (i > 0 && !before(tree.nodes[i - 1], node)) tree.sound = false;  // one row per place
    find_members(tree.nodes, node.child, node.first_member, node.members);
    if (node.members > kMaxMembers) tree.sound = false;
  }
  find_members(tree.nodes, Key::none, tree.first_member, tree.members);
  if (tree.members == 0) tree.sound = false;
  return tree;
}

// Built once; never changed afterwards.
template <Message kMessage>
const Shape& shape() {
  static constexpr auto kTree = make_tree<kMessage>();
  static_assert(kTree.sound, "one row per message and place, at most kMaxMembers members, a root");
  static const auto nodes = [] {
    auto copy = kTree.nodes;
    for (ShapeNode& node : copy) node.attribute = &attribute(node.child);
    return copy;
  }();
  static const Shape shape = {kMessage,
                              kNames[static_cast<std::size_t>(kMessage)].direction,
                              kNames[static_cast<std::size_t>(kMessage)].name,
                              nodes,
                              kTree.first_member,
                              kTree.members};
  return shape;
}

}  // namespace

const Shape& shape_of(Message message) {
  switch (message) {
    case Message::mitigation_request:
      return shape<Message::mitigation_request>();
    case Message::efficacy_update:
      return shape<Message::efficacy_update>();
    case Message::filter_control_request:
      return shape<Message::filter_control_request>();
    case Message::mitigation_put_answer:
      return shape<Message::mitigation_put_answer>();
    case Message::mitigation_get_answer:
      return shape<Message::mitigation_get_answer>();
    case Message::mitigation_conflict:
      return shape<Message::mitigation_conflict>();
    case Message::mitigation_refusal:
      return shape<Message::mitigation_refusal>();
    case Message::config_request:
      return shape<Message::config_request>();
    case Message::config_answer:
      return shape<Message::config_answer>();
    case Message::redirect:
      return shape<Message::redirect>();
    case Message::heartbeat:
      return shape<Message::heartbeat>();
  }
  assert(false);
  return shape<Message::heartbeat>();
}

std::span<const Message> messages() {
  static constexpr auto kAll = [] {
    std::array<Message, kMessages> all{};
    for (std::size_t i = 0; i < kMessages; ++i) all[i] = kNames[i].message;
    return all;
  }();
  return kAll;
}

std::string_view to_string(Presence presence) {
  switch (presence) {
    case Presence::optional:
      return "optional";
    case Presence::mandatory:
      return "mandatory";
    case Presence::conditional:
      return "conditional";
    case Presence::forbidden:
      return "forbidden";
  }
  return "";
}

std::string_view to_string(Direction direction) {
  switch (direction) {
    case Direction::client_to_server:
      return "client to server";
    case Direction::server_to_client:
      return "server to client";
    case Direction::both:
      return "both directions";
  }
  return "";
}

}  // namespace dots::model
