// OpenVINO's operation `archfront::BlockSparseLinear`, in its graphs and in ONNX files.
//
// Inputs: x, values, columns, starts, bias, as block_sparse.h describes them; x may have any number
// of leading axes. Whatever the number of threads, the operation runs on the one that calls it.

#include <openvino/core/op_extension.hpp>
#include <openvino/frontend/onnx/extension/op.hpp>
#include <openvino/op/op.hpp>

#include "block_sparse.h"

namespace {

class BlockSparseLinear : public ov::op::Op {
public:
    OPENVINO_OP("BlockSparseLinear", "archfront");

    BlockSparseLinear() = default;

    explicit BlockSparseLinear(const ov::OutputVector &inputs) : Op(inputs)
    {
        constructor_validate_and_infer_types();
    }

    void validate_and_infer_types() override
    {
        auto shape = get_input_partial_shape(0);
        shape[shape.size() - 1] = get_input_partial_shape(4)[0];
        set_output_type(0, ov::element::f32, shape);
    }

    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector &inputs) const override
    {
        return std::make_shared<BlockSparseLinear>(inputs);
    }

    bool visit_attributes(ov::AttributeVisitor &) override { return true; }

    bool has_evaluate() const override { return true; }

    bool evaluate(ov::TensorVector &outputs, const ov::TensorVector &inputs) const override
    {
        auto shape = inputs[0].get_shape();
        const auto width = shape.back();
        shape.back() = inputs[4].get_size();
        outputs[0].set_shape(shape);
        archfront_block_sparse_linear(
            inputs[0].data<const float>(), inputs[0].get_size() / width, width,
            inputs[1].data<const float>(), inputs[2].data<const int32_t>(),
            inputs[3].data<const int32_t>(), inputs[4].data<const float>(),
            outputs[0].data<float>(), inputs[4].get_size());
        return true;
    }
};

}  // namespace

OPENVINO_CREATE_EXTENSIONS((std::vector<ov::Extension::Ptr>{
    std::make_shared<ov::OpExtension<BlockSparseLinear>>(),
    std::make_shared<ov::frontend::onnx::OpExtension<BlockSparseLinear>>(
        "BlockSparseLinear", "archfront")}))
