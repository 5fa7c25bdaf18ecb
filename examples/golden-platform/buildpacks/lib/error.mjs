/** What the developer can change. Its message is printed as it is, without a stack. */
export class ApplicationError extends Error {}
