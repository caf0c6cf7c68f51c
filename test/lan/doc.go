// Package lan boots several small Linux machines on one Host and lets them
// talk: to each other, to the world, and not where a VLAN forbids it.
package lan
