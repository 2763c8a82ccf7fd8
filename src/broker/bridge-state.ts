const BRIDGE_STATE = '$SYS/bridge/'

/** Where bridges may tell of themselves, if their principal has the permission: the one part of $SYS that is not the hub's. */
export function isBridgeState(topic: string): boolean {
  return topic.startsWith(BRIDGE_STATE)
}
