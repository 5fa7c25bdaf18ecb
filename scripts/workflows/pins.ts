const pins = {
  "actions/checkout": "11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2",
  "docker/login-action": "5e57cd118135c172c3672efd75eb46360885c0ef # v3.6.0",
} as const;

/** Another's action by its commit, with the version that is said to be beside it. */
export function pinned(action: keyof typeof pins): string {
  return `${action}@${pins[action]}`;
}
