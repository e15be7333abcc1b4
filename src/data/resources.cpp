// Resources that say what this server is: discovery, the API root, capabilities, the YANG library (RFC 8040 3.1, 3.3,
// 9; RFC 8525).
#include <array>

#include "data/http.h"
#include "data/machine.h"
#include "wire/json_text.h"

namespace dots::data {
namespace {

struct Module {
  std::string_view name, revision, namespace_uri;
  bool implemented;  // or only imported by another
};
constexpr std::array<Module, 9> kModules{{
    {"ietf-access-control-list", "2019-03-04", "urn:ietf:params:xml:ns:yang:ietf-access-control-list", false},
    {"ietf-datastores", "2018-02-14", "urn:ietf:params:xml:ns:yang:ietf-datastores", false},
    {"ietf-dots-data-channel", "2020-05-28", "urn:ietf:params:xml:ns:yang:ietf-dots-data-channel", true},
    {"ietf-ethertypes", "2019-03-04", "urn:ietf:params:xml:ns:yang:ietf-ethertypes", false},
    {"ietf-inet-types", "2013-07-15", "urn:ietf:params:xml:ns:yang:ietf-inet-types", false},
    {"ietf-packet-fields", "2019-03-04", "urn:ietf:params:xml:ns:yang:ietf-packet-fields", false},
    {"ietf-restconf-monitoring", "2017-01-26", "urn:ietf:params:xml:ns:yang:ietf-restconf-monitoring", true},
    {"ietf-yang-library", "2019-01-04", "urn:ietf:params:xml:ns:yang:ietf-yang-library", true},
    {"ietf-yang-types", "2013-07-15", "urn:ietf:params:xml:ns:yang:ietf-yang-types", false},
}};
constexpr std::string_view kLibraryVersion = "2019-01-04";
constexpr std::string_view kSet = "tidewall";

// Another set of modules has another text (RFC 8525 3): FNV-1a over names and revisions.
std::string content_id() {
  std::uint64_t hash = 14695981039346656037U;
  const auto add = [&](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  };
  for (const Module& module : kModules) {
    add(module.name);
    add(module.revision);
  }
  return std::to_string(hash);
}

}  // namespace

ports::HttpAnswer host_meta(const std::string& root, bool json) {
  ports::HttpAnswer answer = answer_of(200);
  if (json) {
    wire::JsonText out(false);
    out.begin_object();
    out.key("links");
    out.begin_array();
    out.begin_object();
    out.key("rel");
    out.string("restconf");
    out.key("href");
    out.string(root);
    out.end_object();
    out.end_array();
    out.end_object();
    answer.headers.add("Content-Type", "application/json");
    answer.body = out.take();
    return answer;
  }
  answer.headers.add("Content-Type", "application/xrd+xml");
  answer.body =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<XRD xmlns=\"http://docs.oasis-open.org/ns/xri/xrd-1.0\">\n"
      "  <Link rel=\"restconf\" href=\"" +
      root + "\"/>\n</XRD>\n";
  return answer;
}

std::string api_body(Target::Kind kind) {
  const std::string version = "\"" + std::string(kLibraryVersion) + "\"";
  switch (kind) {
    case Target::Kind::operations:
      return R"({"ietf-restconf:operations":{}})";
    case Target::Kind::library_version:
      return R"({"ietf-restconf:yang-library-version":)" + version + "}";
    default:
      return R"({"ietf-restconf:restconf":{"data":{},"operations":{},"yang-library-version":)" + version + "}}";
  }
}

Instance capabilities_instance(const Capabilities& capabilities) {
  Instance all(NodeId::capabilities);
  for (const char* family : {"ipv4", "ipv6"}) all.add(NodeId::can_address_family, family);
  for (const char* action : {"drop", "accept"}) all.add(NodeId::can_forwarding_actions, action);
  for (const char* protocol : {"1", "6", "17", "58"}) all.add(NodeId::can_transport_protocols, protocol);
  const auto say = [&](Instance& in, const Node& leaf) {
    if (leaf.type == LeafType::boolean) in.add(leaf.id, capabilities.has(leaf.id) ? "true" : "false");
  };
  for (const Node* child : all.node->children) {
    say(all, *child);
    if (child->kind != NodeKind::container) continue;
    Instance& header = all.add(child->id);
    for (const Node* leaf : child->children) say(header, *leaf);
  }
  sort_children(all);
  return all;
}

Instance library_instance(NodeId top) {
  Instance root(top);
  if (top == NodeId::restconf_state) {
    Instance& list = root.add(NodeId::restconf_capabilities);
    for (const char* uri :
         {"urn:ietf:params:restconf:capability:defaults:1.0?basic-mode=explicit",
          "urn:ietf:params:restconf:capability:depth:1.0", "urn:ietf:params:restconf:capability:fields:1.0"}) {
      list.add(NodeId::restconf_capability, uri);
    }
    return root;
  }
  if (top == NodeId::modules_state) {
    root.add(NodeId::module_set_id, content_id());
    for (const Module& module : kModules) {
      Instance& entry = root.add(NodeId::state_module);
      entry.add(NodeId::state_module_name, std::string(module.name));
      entry.add(NodeId::state_module_revision, std::string(module.revision));
      entry.add(NodeId::state_module_namespace, std::string(module.namespace_uri));
      entry.add(NodeId::state_module_conformance_type, module.implemented ? "implement" : "import");
    }
    return root;
  }
  Instance& set = root.add(NodeId::module_set);
  set.add(NodeId::module_set_name, std::string(kSet));
  for (const Module& module : kModules) {
    Instance& entry = set.add(module.implemented ? NodeId::library_module : NodeId::import_module);
    entry.add(module.implemented ? NodeId::library_module_name : NodeId::import_module_name, std::string(module.name));
    entry.add(module.implemented ? NodeId::library_module_revision : NodeId::import_module_revision,
              std::string(module.revision));
    entry.add(module.implemented ? NodeId::library_module_namespace : NodeId::import_module_namespace,
              std::string(module.namespace_uri));
  }
  Instance& schema = root.add(NodeId::library_schema);
  schema.add(NodeId::library_schema_name, std::string(kSet));
  schema.add(NodeId::library_schema_set, std::string(kSet));
  Instance& store = root.add(NodeId::library_datastore);
  store.add(NodeId::library_datastore_name, "ietf-datastores:running");
  store.add(NodeId::library_datastore_schema, std::string(kSet));
  root.add(NodeId::content_id, content_id());
  sort_children(root);
  return root;
}

}  // namespace dots::data
