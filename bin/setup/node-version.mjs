/** The oldest Node.js that can do the set-up; after it everything runs on the Node.js from the packages. */
export const OLDEST = [20, 19]

/** @returns {string | null} what is wrong, as a sentence; null when the version will do */
export function nodeProblem(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return null
  return `Coppice needs Node.js ${OLDEST.join('.')} or newer to set itself up; this is ${version}. Install a newer one and run the command again.`
}
