#include "model/attributes.h"

#include <gtest/gtest.h>

#include <set>

namespace dots::model {
namespace {

// S9132-6-01: the registered keys, all of them and no others but those of private use
TEST(Attributes, CoverTheRegistry) {
  const auto is_assigned = [](std::uint64_t key) {
    return (key >= 1 && key <= 53) || (key >= 128 && key <= 210) || (key >= 32768 && key <= 32781) ||
           (key >= 54000 && key <= 54007);
  };
  std::size_t count = 0;
  for (std::uint64_t key = 0; key <= 70000; ++key) {
    const Attribute* found = find_attribute(key);
    ASSERT_EQ(found != nullptr, is_assigned(key)) << key;
    if (found == nullptr) continue;
    EXPECT_EQ(found->number(), key);
    EXPECT_FALSE(found->name.empty());
    ++count;
  }
  EXPECT_EQ(count, attributes().size());
  EXPECT_EQ(count, 158U);
  EXPECT_EQ(find_attribute(UINT64_MAX), nullptr);
}

TEST(Attributes, NamesAreUnambiguous) {
  std::set<std::string_view> names;
  for (const Attribute& a : attributes()) {
    EXPECT_TRUE(names.insert(a.name).second) << a.name;
    EXPECT_EQ(find_attribute(a.name), &a);
  }
  EXPECT_EQ(find_attribute("no-such-attribute"), nullptr);
  EXPECT_EQ(attribute(Key::mitigation_scope).local_name(), "mitigation-scope");
  EXPECT_EQ(attribute(Key::control_acl_list).name, "ietf-dots-signal-control:acl-list");
  EXPECT_EQ(attribute(Key::acl_list).name, "acl-list");
}

TEST(Attributes, RowsOfTable5) {
  struct Row {
    int key;
    const char* name;
    const char* yang;
    CborType cbor;
    JsonType json;
  };
  const Row rows[] = {
      {1, "ietf-dots-signal-channel:mitigation-scope", "container", CborType::map, JsonType::object},
      {2, "scope", "list", CborType::array, JsonType::array},
      {5, "mid", "uint32", CborType::unsigned_integer, JsonType::number},
      {6, "target-prefix", "leaf-list inet:ip-prefix", CborType::array, JsonType::array},
      {8, "lower-port", "inet:port-number", CborType::unsigned_integer, JsonType::number},
      {10, "target-protocol", "leaf-list uint8", CborType::array, JsonType::array},
      {14, "lifetime", "union", CborType::unsigned_or_negative, JsonType::number},
      {15, "mitigation-start", "uint64", CborType::unsigned_integer, JsonType::string},
      {16, "status", "enumeration", CborType::unsigned_integer, JsonType::string},
      {20, "retry-timer", "uint32", CborType::unsigned_integer, JsonType::string},
      {25, "bytes-dropped", "yang:zero-based-counter64", CborType::unsigned_integer, JsonType::string},
      {26, "bps-dropped", "yang:gauge64", CborType::unsigned_integer, JsonType::string},
      // RFC 9132 Table 5, not the order of the registry
      {34, "max-value", "uint16", CborType::unsigned_integer, JsonType::number},
      {35, "min-value", "uint16", CborType::unsigned_integer, JsonType::number},
      {41, "max-value-decimal", "decimal64", CborType::decimal, JsonType::string},
      {42, "min-value-decimal", "decimal64", CborType::decimal, JsonType::string},
      {45, "trigger-mitigation", "boolean", CborType::boolean, JsonType::boolean},
      {48, "alt-server-record", "leaf-list inet:ip-address", CborType::array, JsonType::array},
      {51, "peer-hb-status", "boolean", CborType::boolean, JsonType::boolean},
  };
  for (const Row& row : rows) {
    const Attribute* a = find_attribute(static_cast<std::uint64_t>(row.key));
    ASSERT_NE(a, nullptr);
    EXPECT_EQ(a->name, row.name);
    EXPECT_EQ(a->yang_type(), row.yang) << row.name;
    EXPECT_EQ(a->cbor_type(), row.cbor) << row.name;
    EXPECT_EQ(a->json_type(), row.json) << row.name;
  }
}

// S9132-10.6.1-02
TEST(Attributes, ComprehensionClasses) {
  for (const std::uint64_t key : {1, 127, 256, 16383}) EXPECT_EQ(comprehension_of(key), Comprehension::required) << key;
  for (const std::uint64_t key : {128, 255, 16384, 32767, 32768, 49151, 49152, 65535}) {
    EXPECT_EQ(comprehension_of(key), Comprehension::optional) << key;
  }
}

// S9132-5.3-08
TEST(Attributes, BitsAreBytes) { EXPECT_EQ(attribute(Key::bps_dropped).unit, "bytes per second"); }

// S9132-10.6.2-01: 1 to 8
TEST(Attributes, CodesHaveNames) {
  EXPECT_EQ(enum_name(attribute(Key::status), 8), "attack-mitigation-signal-loss");
  EXPECT_EQ(enum_name(attribute(Key::status), 9), std::nullopt);
  EXPECT_EQ(enum_name(attribute(Key::status), 0), std::nullopt);
  EXPECT_EQ(enum_code(attribute(Key::unit), "zettabyte-ps"), 24U);
  EXPECT_EQ(enum_code(attribute(Key::unit), "kilopacket-ps"), 4U);
  EXPECT_EQ(enum_code(attribute(Key::conflict_cause), "overlapping-pipes"), 5U);
  EXPECT_EQ(enum_code(attribute(Key::conflict_cause), "nonsense"), std::nullopt);
  for (const Attribute& a : attributes()) {
    EXPECT_EQ(a.type == ValueType::enumeration, !a.names.empty()) << a.name;
    if (a.type != ValueType::container) {
      EXPECT_GT(a.range.max, 0U) << a.name;
    }
  }
}

}  // namespace
}  // namespace dots::model
