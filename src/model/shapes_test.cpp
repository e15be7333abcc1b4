#include "model/shapes.h"

#include <gtest/gtest.h>

#include <set>

namespace dots::model {
namespace {

const ShapeNode* find(const Shape& shape, std::initializer_list<Key> path) {
  std::span<const ShapeNode> members = shape.root();
  const ShapeNode* found = nullptr;
  for (const Key key : path) {
    found = nullptr;
    for (const ShapeNode& node : members) {
      if (node.child == key) found = &node;
    }
    if (found == nullptr) return nullptr;
    members = shape.members_of(*found);
  }
  return found;
}

std::optional<Presence> presence(Message message, std::initializer_list<Key> path) {
  const ShapeNode* node = find(shape_of(message), path);
  return node == nullptr ? std::nullopt : std::optional(node->presence);
}

void reach(const Shape& shape, std::span<const ShapeNode> members, std::size_t depth,
           std::set<const ShapeNode*>& seen) {
  ASSERT_LT(depth, 8U) << "a tree, not a circle";
  for (const ShapeNode& node : members) {
    seen.insert(&node);
    reach(shape, shape.members_of(node), depth + 1, seen);
  }
}

TEST(Shapes, EveryRowIsReachableAndFits) {
  for (const Message message : messages()) {
    const Shape& shape = shape_of(message);
    EXPECT_EQ(shape.message, message);
    EXPECT_FALSE(shape.name.empty());
    std::set<const ShapeNode*> seen;
    reach(shape, shape.root(), 0, seen);
    EXPECT_EQ(seen.size(), shape.nodes.size()) << shape.name << ": a row whose parent has no row";
    for (const ShapeNode& node : shape.nodes) {
      EXPECT_EQ(node.attribute->key, node.child);
      EXPECT_TRUE(node.section.starts_with("9") || node.section == "extension") << node.attribute->name;
      if (node.attribute->rfc == 0) {
        EXPECT_EQ(node.section, "extension") << node.attribute->name;
        EXPECT_EQ(node.presence == Presence::mandatory,
                  message == Message::mitigation_refusal && node.child == Key::refusal_reason)
            << "a peer that does not know it leaves it out";
      }
      if (node.presence != Presence::forbidden) {
        EXPECT_EQ(node.members > 0, node.attribute->type == ValueType::container)
            << shape.name << ": " << node.attribute->name;
      }
      if (node.list_key != Key::none) {
        EXPECT_TRUE(node.attribute->is_list());
      }
    }
  }
}

// S9132-5.3-01
TEST(Shapes, DirectionsOfMitigationAttributes) {
  for (const Key key : {Key::mid, Key::mitigation_start, Key::status, Key::conflict_information, Key::bytes_dropped,
                        Key::bps_dropped, Key::pkts_dropped, Key::pps_dropped, Key::cuid, Key::cdid}) {
    for (const Message message : {Message::mitigation_request, Message::efficacy_update}) {
      EXPECT_EQ(presence(message, {Key::mitigation_scope, Key::scope, key}), Presence::forbidden)
          << attribute(key).name;
    }
  }
  for (const Message message :
       {Message::mitigation_put_answer, Message::mitigation_get_answer, Message::mitigation_conflict}) {
    for (const Key key : {Key::attack_status, Key::cuid, Key::cdid}) {
      EXPECT_EQ(presence(message, {Key::mitigation_scope, Key::scope, key}), Presence::forbidden);
    }
  }
}

TEST(Shapes, MandatoryAttributes) {
  using K = Key;
  EXPECT_EQ(presence(Message::mitigation_put_answer, {K::mitigation_scope, K::scope, K::mid}), Presence::mandatory);
  EXPECT_EQ(presence(Message::mitigation_put_answer, {K::mitigation_scope, K::scope, K::lifetime}),
            Presence::mandatory);
  EXPECT_EQ(presence(Message::mitigation_put_answer, {K::mitigation_scope, K::scope, K::status}), Presence::optional);
  EXPECT_EQ(presence(Message::mitigation_get_answer, {K::mitigation_scope, K::scope, K::status}), Presence::mandatory);
  EXPECT_EQ(presence(Message::efficacy_update, {K::mitigation_scope, K::scope, K::attack_status}), Presence::mandatory);
  EXPECT_EQ(presence(Message::efficacy_update, {K::mitigation_scope, K::scope, K::lifetime}), Presence::optional);
  EXPECT_EQ(presence(Message::redirect, {K::redirected_signal, K::alt_server}), Presence::mandatory);
  EXPECT_EQ(presence(Message::redirect, {K::redirected_signal, K::alt_server_record}), Presence::optional);
  EXPECT_EQ(presence(Message::heartbeat, {K::heartbeat, K::peer_hb_status}), Presence::mandatory);
  EXPECT_EQ(find(shape_of(Message::mitigation_request), {K::mitigation_scope, K::scope})->max_entries, 1);
  EXPECT_EQ(find(shape_of(Message::mitigation_get_answer), {K::mitigation_scope, K::scope})->max_entries, 0);
}

// S9132-4.5.1-03, S9132-4.5.2-14, S8612-DM-007-01, S8612-DM-008-01
TEST(Shapes, ConfigurationBounds) {
  for (const Key set : {Key::mitigating_config, Key::idle_config}) {
    for (const Key parameter :
         {Key::heartbeat_interval, Key::missing_hb_allowed, Key::probing_rate, Key::max_retransmit}) {
      EXPECT_EQ(presence(Message::config_request, {Key::signal_config, set, parameter, Key::current_value}),
                Presence::mandatory);
      EXPECT_EQ(presence(Message::config_request, {Key::signal_config, set, parameter, Key::max_value}),
                Presence::forbidden);
      EXPECT_EQ(presence(Message::config_answer, {Key::signal_config, set, parameter, Key::max_value}),
                Presence::optional);
      EXPECT_EQ(presence(Message::config_answer, {Key::signal_config, set, parameter, Key::max_value_decimal}),
                std::nullopt);
    }
    for (const Key parameter : {Key::ack_timeout, Key::ack_random_factor}) {
      EXPECT_EQ(presence(Message::config_request, {Key::signal_config, set, parameter, Key::current_value_decimal}),
                Presence::mandatory);
      EXPECT_EQ(presence(Message::config_request, {Key::signal_config, set, parameter, Key::min_value_decimal}),
                Presence::forbidden);
      EXPECT_EQ(presence(Message::config_answer, {Key::signal_config, set, parameter, Key::current_value}),
                std::nullopt);
    }
  }
}

// S9133-3.2.1-07, S9133-3.2.2-01, S9133-3.2.2-02
TEST(Shapes, FilterControlIsAMessageOfItsOwn) {
  EXPECT_EQ(presence(Message::mitigation_request, {Key::mitigation_scope, Key::scope, Key::control_acl_list}),
            std::nullopt);
  EXPECT_EQ(presence(Message::filter_control_request,
                     {Key::mitigation_scope, Key::scope, Key::control_acl_list, Key::acl_name}),
            Presence::mandatory);
  const ShapeNode* list =
      find(shape_of(Message::filter_control_request), {Key::mitigation_scope, Key::scope, Key::control_acl_list});
  ASSERT_NE(list, nullptr);
  EXPECT_EQ(list->list_key, Key::acl_name);
  EXPECT_EQ(list->attribute->name, "ietf-dots-signal-control:acl-list");
  EXPECT_EQ(presence(Message::filter_control_request, {Key::mitigation_scope, Key::scope, Key::acl_list}), std::nullopt)
      << "key 22 is of a conflict";
}

// S9132-10.6.1-02: what every receiver may leave aside, and no RFC will ever take
TEST(Shapes, OurExtensionsAreOfPrivateUse) {
  std::size_t ours = 0;
  for (const Attribute& attribute : attributes()) {
    EXPECT_EQ(attribute.rfc == 0, attribute.number() >= 49152) << attribute.name;
    if (attribute.rfc != 0) continue;
    ++ours;
    EXPECT_EQ(comprehension_of(attribute.number()), Comprehension::optional);
    EXPECT_TRUE(attribute.name.starts_with("tidewall-dots:")) << attribute.name;
    EXPECT_EQ(find_attribute(std::uint64_t{attribute.number()}), &attribute);
  }
  EXPECT_EQ(ours, 8U);
  EXPECT_EQ(presence(Message::mitigation_request, {Key::mitigation_scope, Key::scope, Key::refusal_reason}),
            std::nullopt)
      << "skipped like any unknown one, not refused";
}

}  // namespace
}  // namespace dots::model
