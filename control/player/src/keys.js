/** The key system of Clear Key. */
export const CLEAR_KEY = "org.w3.clearkey";

/** The headers of a request for keys. */
export function bearer(token) {
  return token ? { Authorization: `Bearer ${token}` } : {};
}
