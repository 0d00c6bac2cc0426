/** How a task does its steps. Both ways reject with the queue's reason once it is stopped, and then the task ends. */
export interface IdleSteps {
  /** Runs a step that others may use the GPU beside. */
  readonly shared: <T>(step: () => Promise<T>) => Promise<T>;
  /** Runs a step that has the GPU to itself, and only while no task added before this one has work. */
  readonly exclusive: <T>(step: () => Promise<T>) => Promise<T>;
}

/** Work for moments without requests, in steps: a request that comes meanwhile waits for one step at most. */
export interface IdleTask {
  /** Whether its shared steps also run while there are requests. @default false */
  readonly besideRequests?: boolean;
  /** Whether its steps begin only while a tab of the model is visible. @default false */
  readonly needsVisibleTab?: boolean;
  /** Logged before the error if {@link run} rejects. The task does not run again then. */
  readonly failure: string;
  /** Does all there is to do. Called at each idle moment; a task beside requests is also called when it is added. */
  run(steps: IdleSteps): Promise<void>;
}
