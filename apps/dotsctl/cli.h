// The command line as a tree of CLI11 and as values; help and shell completion come from the same tree.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ops/init.h"

namespace dots::dotsctl {

struct Options {
  // of all commands
  std::string socket;
  std::string config;
  bool json = false;

  struct Mitigate {
    std::vector<std::string> prefixes, ports, protocols, fqdns, uris, aliases;
    std::string lifetime;
    std::string note;
    std::string server;
    std::string contract, service;
    std::vector<std::string> activate, deactivate;  // filters
    bool armed = false;
    bool wait = false;
    std::uint32_t wait_s = 60;
  } mitigate;
  struct Which {  // a mitigation
    std::uint32_t mid = 0;
    std::string domain, cuid, server;
    std::string note;
    std::string attack;  // of efficacy
    bool force = false;
  } which;
  struct Filter {  // switched over the signal channel
    std::vector<std::string> names;
    bool when_mitigating = false;
  } filter;
  std::string explain;  // MID, prefix or nothing
  struct Rules {
    std::string prefix, domain, back_end;
    std::uint32_t limit = 1000;
    bool differences = false;
  } rules;
  struct Audit {
    std::uint32_t limit = 0;  // 0: 50, and 10,000 with json_lines
    std::string domain, actor, action, subject, since, until;
    bool json_lines = false;
  } audit;
  struct Watch {
    double interval_s = 1;
    std::uint32_t rounds = 0;  // 0: until interrupted
    bool redraw = false;       // on a terminal
  } watch;
  struct Decode {
    std::string input;
    std::string file;
  } decode;
  std::string check_file;
  bool dry_run = false;  // of reload
  struct WhatIf {
    std::string domain, service, contract;
    std::vector<std::string> prefixes, ports, protocols;
    std::uint64_t volume_bits_per_s = 0;
  } what_if;
  struct Redirect {
    std::string to, domain, client, note, ttl;
    std::vector<std::string> records;
    bool force = false;
    bool off = false;
    bool asks() const {
      return !to.empty() || !domain.empty() || !ttl.empty() || !records.empty() || force || off || now;
    }
    bool now = false;
  } redirect;
  struct Data {  // the data channel of a client
    std::string server, name, file, if_match;
    bool create_only = false, kept = false, dry_run = false, prune = false;
    // an alias from flags
    std::vector<std::string> prefixes, ports, protocols, fqdns, uris;
    // a filter of one entry from flags
    std::string source, destination, protocol, source_port, port, icmp_type, rate_limit, activation;
    bool fragments = false, drop = false, accept = false;
    std::string before, after;
    bool first = false, last = false;
  } data;
  struct Init {
    std::string folder;
    ops::InitOptions set;
    bool prefixes_given = false;
    bool force = false;
  } init;
  struct Emergency {
    bool clear_marker = false;
    std::string note;
  } emergency;
};

// Fills `options` when the app parses.
void build_cli(CLI::App& app, Options& options);
// The name of the chosen command: "list", "emergency remove-all"; empty when there is none.
std::string chosen_command(const CLI::App& app);

// A script for bash, from the tree.
std::string bash_completion(const CLI::App& app);

}  // namespace dots::dotsctl
