/*
 * LLVM 19 with the code in another process, llvm-jitlink-executor: calls, units that come and go, lazy re-exports, and
 * stubs that are led elsewhere. By the C++ API, since the C API knows no other process. Messages go through two pipes
 * as with llvm-jitlink, code through shared memory, which is the faster way; there is no sandbox.
 *
 * LLVM's redirectable symbols came after 19. What they are made of is there: stubs whose pointers the controller writes
 * into the executor, one or many in a message.
 */
#include <fcntl.h>
#include <llvm/ExecutionEngine/Orc/EPCGenericMemoryAccess.h>
#include <llvm/ExecutionEngine/Orc/EPCIndirectionUtils.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/ExecutionEngine/Orc/LazyReexports.h>
#include <llvm/ExecutionEngine/Orc/MapperJITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/Shared/OrcRTBridge.h>
#include <llvm/ExecutionEngine/Orc/SimpleRemoteEPC.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/TargetParser/Host.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include "bench/measure.h"
#include "bench/object_writer.h"
}

using namespace llvm;
using namespace llvm::orc;

namespace
{

constexpr int calls = 1000, cycles = 250, first_calls = 500, messages = 100, block = 20;
constexpr size_t redirections = 1000, slab_bytes = size_t(1) << 28;

const JITSymbolFlags exported_function = JITSymbolFlags::Exported | JITSymbolFlags::Callable;

void check(Error error)
{
    if (error)
        measure_die("LLVM's executor: %s", toString(std::move(error)).c_str());
}

template <typename T> T check(Expected<T> value)
{
    if (!value)
        check(value.takeError());
    return std::move(*value);
}

/* ---- the executor ---- */

struct executor {
    enum placement placement;
    pid_t process;
    std::unique_ptr<LLJIT> jit;
    std::unique_ptr<EPCIndirectionUtils> indirection;
    std::unique_ptr<IndirectStubsManager> stubs;
    JITDylib *supplied; /* what is behind lazy re-exports */
    ExecutorAddr plain; /* a function that returns 1 */
    ExecutorAddr there; /* one that returns 2 */
    std::vector<written_object> objects;

    ExecutorProcessControl &control()
    {
        return jit->getExecutionSession().getExecutorProcessControl();
    }
};

/* It finds the ends of the pipes that are its own as descriptors 0 and 3. */
pid_t spawn_executor(int in, int out)
{
    pid_t process;
    posix_spawn_file_actions_t actions;
    char program[] = LLVM_EXECUTOR, descriptors[] = "filedescs=0,3";
    char *arguments[] = {program, descriptors, nullptr};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 3);
    if (posix_spawn(&process, program, &actions, nullptr, arguments, environ) != 0)
        measure_die("cannot start %s", program);
    posix_spawn_file_actions_destroy(&actions);
    return process;
}

Expected<std::unique_ptr<jitlink::JITLinkMemoryManager>> share_memory(SimpleRemoteEPC &control)
{
    SharedMemoryMapper::SymbolAddrs functions;
    check(control.getBootstrapSymbols(
        {{functions.Instance, rt::ExecutorSharedMemoryMapperServiceInstanceName},
         {functions.Reserve, rt::ExecutorSharedMemoryMapperServiceReserveWrapperName},
         {functions.Initialize, rt::ExecutorSharedMemoryMapperServiceInitializeWrapperName},
         {functions.Deinitialize, rt::ExecutorSharedMemoryMapperServiceDeinitializeWrapperName},
         {functions.Release, rt::ExecutorSharedMemoryMapperServiceReleaseWrapperName}}));
    return MapperJITLinkMemoryManager::CreateWithMapper<SharedMemoryMapper>(slab_bytes, control, functions);
}

/* The pointers of stubs are written through an object that LLVM 19 makes for a remote executor and then leaves where
   nobody finds it. */
struct memory_access : ExecutorProcessControl {
    static Expected<std::unique_ptr<MemoryAccess>> create(SimpleRemoteEPC &control)
    {
        EPCGenericMemoryAccess::FuncAddrs functions;
        check(control.getBootstrapSymbols({{functions.WriteUInt64s, rt::MemoryWriteUInt64sWrapperName}}));
        auto access = std::make_unique<EPCGenericMemoryAccess>(control, functions);
        static_cast<ExecutorProcessControl &>(control).*(&memory_access::MemAccess) = access.get();
        return access;
    }
};

std::unique_ptr<SimpleRemoteEPC> connect_executor(executor &executor)
{
    int requests[2], replies[2];
    SimpleRemoteEPC::Setup setup;
    setup.CreateMemoryManager = share_memory;
    setup.CreateMemoryAccess = memory_access::create;
    if (pipe2(requests, O_CLOEXEC) != 0 || pipe2(replies, O_CLOEXEC) != 0)
        measure_die("no pipes");
    measure_place_children(executor.placement);
    executor.process = spawn_executor(requests[0], replies[1]);
    measure_place_self(executor.placement);
    close(requests[0]);
    close(replies[1]);
    return check(SimpleRemoteEPC::Create<FDSimpleRemoteEPCTransport>(
        std::make_unique<DynamicThreadPoolTaskDispatcher>(std::nullopt), std::move(setup), replies[0], requests[1]));
}

/* The object's bytes are borrowed. */
std::unique_ptr<MemoryBuffer> borrow(const written_object &object)
{
    StringRef bytes(reinterpret_cast<const char *>(object.bytes), object.length);
    return MemoryBuffer::getMemBuffer(bytes, object.name, false);
}

void add_function(executor &executor, JITDylib &library, const std::string &name, const char *callee)
{
    executor.objects.push_back({});
    written_object &object = executor.objects.back();
    object_write_function(&object, name.c_str(), callee, nullptr);
    check(executor.jit->addObjectFile(library, borrow(object)));
}

ExecutorAddr link_function(executor &executor, const std::string &name, const char *callee)
{
    add_function(executor, executor.jit->getMainJITDylib(), name, callee);
    return check(executor.jit->lookup(name));
}

/* Links peer_reentry.c into the executor and answers its question. */
ExecutorAddr link_reentry(LLJIT &jit, LazyCallThroughManager &trampolines)
{
    using Reply = unique_function<void(ExecutorAddr)>;
    JITDylib &library = jit.getMainJITDylib();
    const auto &dispatch = jit.getExecutionSession().getExecutorProcessControl().getJITDispatchInfo();
    check(library.define(
        absoluteSymbols({{jit.mangleAndIntern("executor_dispatch"), {dispatch.JITDispatchFunction, exported_function}},
                         {jit.mangleAndIntern("executor_dispatch_context"),
                          {dispatch.JITDispatchContext, JITSymbolFlags::Exported}}})));
    check(jit.addObjectFile(check(errorOrToExpected(MemoryBuffer::getFile(REENTRY_OBJECT)))));

    ExecutionSession::JITDispatchHandlerAssociationMap handlers;
    handlers[jit.mangleAndIntern("executor_resolve_tag")] =
        ExecutionSession::wrapAsyncWithSPS<shared::SPSExecutorAddr(shared::SPSExecutorAddr)>(
            [&trampolines](Reply reply, ExecutorAddr trampoline) {
                auto kept = std::make_shared<Reply>(std::move(reply));
                trampolines.resolveTrampolineLandingAddress(trampoline,
                                                            [kept](ExecutorAddr landing) { (*kept)(landing); });
            });
    check(jit.getExecutionSession().registerJITDispatchHandlers(library, std::move(handlers)));
    return check(jit.lookup("executor_reenter"));
}

void start(executor &executor)
{
    executor.jit = check(LLJITBuilder()
                             .setExecutorProcessControl(connect_executor(executor))
                             .setPlatformSetUp(setUpInactivePlatform)
                             .create());
    ExecutionSession &session = executor.jit->getExecutionSession();
    executor.indirection = check(EPCIndirectionUtils::Create(session));
    auto &trampolines = executor.indirection->createLazyCallThroughManager(session, ExecutorAddr());
    check(
        executor.indirection->writeResolverBlock(link_reentry(*executor.jit, trampolines), ExecutorAddr()).takeError());
    executor.stubs = executor.indirection->createIndirectStubsManager();
    executor.supplied = &session.createBareJITDylib("supplied");
    executor.plain = link_function(executor, "plain", nullptr);
    executor.there = link_function(executor, "there", "plain");
}

void end(executor &executor)
{
    check(executor.indirection->cleanup());
    executor.stubs.reset();
    executor.indirection.reset();
    executor.jit.reset();
    waitpid(executor.process, nullptr, 0);
    measure_place_children(PLACEMENT_FREE);
    for (written_object &object : executor.objects)
        free(object.bytes);
}

/* ---- what is measured ---- */

uint64_t time_call(executor &executor, ExecutorAddr function, int expected)
{
    uint64_t begin = measure_now();
    int result = check(executor.control().runAsIntFunction(function, 0));
    uint64_t taken = measure_now() - begin;
    if (result != expected)
        measure_die("LLVM's executor: a function returned %d and not %d", result, expected);
    return taken;
}

void measure_calls(executor &executor)
{
    samples samples = {};
    for (int i = 0; i < calls; i++)
        samples_add(&samples, time_call(executor, executor.plain, 1), 1);
    samples_report_placed(&samples, executor.placement, "call.executor");
}

uint64_t time_cycle(executor &executor, const std::string &name, bool call)
{
    written_object object;
    object_write_function(&object, name.c_str(), nullptr, nullptr);
    std::unique_ptr<MemoryBuffer> buffer = borrow(object);
    uint64_t begin = measure_now();
    ResourceTrackerSP tracker = executor.jit->getMainJITDylib().createResourceTracker();
    check(executor.jit->addObjectFile(tracker, std::move(buffer)));
    ExecutorAddr address = check(executor.jit->lookup(name));
    if (call)
        time_call(executor, address, 1);
    check(tracker->remove());
    uint64_t taken = measure_now() - begin;
    free(object.bytes);
    return taken;
}

void measure_removal(executor &executor)
{
    samples cycle = {}, run = {};
    for (int i = 0; i < cycles; i++) {
        samples_add(&cycle, time_cycle(executor, ("cycle_" + Twine(i)).str(), false), 1);
        samples_add(&run, time_cycle(executor, ("run_" + Twine(i)).str(), true), 1);
    }
    samples_report_placed(&cycle, executor.placement, "removal.executor");
    samples_report_placed(&run, executor.placement, "removal.run.executor");
}

/* As peer_lljit_lazy.c does it: LLVM has read the function's symbols and linked nothing. */
ExecutorAddr link_lazy_caller(executor &executor, int number)
{
    std::string late = ("late_" + Twine(number)).str();
    SymbolStringPtr symbol = executor.jit->mangleAndIntern(late);
    add_function(executor, *executor.supplied, late, nullptr);
    check(executor.jit->getMainJITDylib().define(lazyReexports(executor.indirection->getLazyCallThroughManager(),
                                                               *executor.stubs, *executor.supplied,
                                                               {{symbol, {symbol, exported_function}}})));
    return link_function(executor, ("caller_" + Twine(number)).str(), late.c_str());
}

void measure_first_calls(executor &executor)
{
    samples first = {};
    std::vector<ExecutorAddr> callers;
    for (int i = 0; i < first_calls; i++)
        callers.push_back(link_lazy_caller(executor, i));
    for (ExecutorAddr caller : callers)
        samples_add(&first, time_call(executor, caller, 2), 1);
    samples_report_placed(&first, executor.placement, "lazy.first.executor");
}

const std::vector<std::string> &moved()
{
    static std::vector<std::string> names;
    for (size_t i = names.size(); i < redirections; i++)
        names.push_back(("moved_" + Twine(i)).str());
    return names;
}

void create_stubs(IndirectStubsManager &stubs, ExecutorAddr target)
{
    IndirectStubsManager::StubInitsMap wanted;
    for (const std::string &name : moved())
        wanted[name] = {target, exported_function};
    check(stubs.createStubs(wanted));
}

uint64_t time_redirection(executor &executor, const std::string &function, ExecutorAddr target)
{
    uint64_t begin = measure_now();
    check(executor.stubs->updatePointer(function, target));
    return measure_now() - begin;
}

uint64_t time_redirections(executor &executor, ExecutorAddr target)
{
    std::vector<tpctypes::UInt64Write> writes;
    uint64_t begin = measure_now();
    for (const std::string &name : moved())
        writes.push_back({executor.stubs->findPointer(name).getAddress(), target.getValue()});
    check(executor.control().getMemoryAccess().writeUInt64s(writes));
    return measure_now() - begin;
}

void check_stub(executor &executor, const std::string &function, int expected)
{
    time_call(executor, executor.stubs->findStub(function, true).getAddress(), expected);
}

/* In the blocks of slots.c. */
void measure_redirections(executor &executor)
{
    samples one = {}, many = {};
    create_stubs(*executor.stubs, executor.plain);
    for (int i = 0; i < messages; i += block) {
        for (int n = 0; n < block; n++)
            samples_add(&one, time_redirection(executor, moved()[n], executor.there), 1);
        check_stub(executor, moved()[block - 1], 2);
        for (int n = 0; n < block; n++)
            samples_add(&many, time_redirections(executor, n % 2 == 0 ? executor.there : executor.plain), redirections);
        check_stub(executor, moved().back(), 1);
    }
    samples_report_placed(&one, executor.placement, "redirect.executor.one");
    samples_report_placed(&many, executor.placement, "redirect.executor.many");
}

/* The same stubs where controller and code are one process: a look into a table of names and a store. */
void measure_local_redirections(const Triple &triple)
{
    samples samples = {};
    std::unique_ptr<IndirectStubsManager> stubs = createLocalIndirectStubsManagerBuilder(triple)();
    create_stubs(*stubs, ExecutorAddr(1));
    for (int i = 0; i < messages; i++) {
        uint64_t begin = measure_now();
        for (const std::string &name : moved())
            check(stubs->updatePointer(name, ExecutorAddr(2)));
        samples_add(&samples, measure_now() - begin, redirections);
    }
    samples_report(&samples, "redirect.local");
}

} // namespace

int main()
{
    InitializeNativeTarget();
    InitializeNativeTargetAsmPrinter();
    for (enum placement placement : {PLACEMENT_FREE, PLACEMENT_ONE_CPU, PLACEMENT_APART}) {
        executor executor = {};
        executor.placement = placement;
        if (!measure_can_place(placement))
            continue;
        start(executor);
        measure_calls(executor);
        measure_removal(executor);
        measure_first_calls(executor);
        measure_redirections(executor);
        end(executor);
    }
    measure_local_redirections(Triple(sys::getDefaultTargetTriple()));
    return 0;
}
