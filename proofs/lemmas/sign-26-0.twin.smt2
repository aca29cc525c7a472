; Twin of sign-26-0: the lowest chunk's carry is left out of the tree, and the bit can be wrong.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: sat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 64))
(declare-fun x2 () (_ BitVec 64))
(declare-fun x3 () (_ BitVec 64))
(define-fun v () (_ BitVec 64) (bvadd x1 x2 x3))
; role 1 knows m, roles 2 and 3 know n
(define-fun sum12 () (_ BitVec 64) (bvadd x1 x2))
(define-fun m () (_ BitVec 26) ((_ extract 25 0) sum12))
(define-fun n () (_ BitVec 26) ((_ extract 25 0) x3))
; generate and propagate of every chunk
(define-fun g0_0 () (_ BitVec 1) (_ bv0 1))
(define-fun g0_1 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 6 4) m)) ((_ zero_extend 1) ((_ extract 6 4) n)))))
(define-fun p0_1 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 6 4) m) ((_ extract 6 4) n)) (_ bv7 3)))
(define-fun g0_2 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 9 7) m)) ((_ zero_extend 1) ((_ extract 9 7) n)))))
(define-fun p0_2 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 9 7) m) ((_ extract 9 7) n)) (_ bv7 3)))
(define-fun g0_3 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 12 10) m)) ((_ zero_extend 1) ((_ extract 12 10) n)))))
(define-fun p0_3 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 12 10) m) ((_ extract 12 10) n)) (_ bv7 3)))
(define-fun g0_4 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 15 13) m)) ((_ zero_extend 1) ((_ extract 15 13) n)))))
(define-fun p0_4 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 15 13) m) ((_ extract 15 13) n)) (_ bv7 3)))
(define-fun g0_5 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 18 16) m)) ((_ zero_extend 1) ((_ extract 18 16) n)))))
(define-fun p0_5 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 18 16) m) ((_ extract 18 16) n)) (_ bv7 3)))
(define-fun g0_6 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 21 19) m)) ((_ zero_extend 1) ((_ extract 21 19) n)))))
(define-fun p0_6 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 21 19) m) ((_ extract 21 19) n)) (_ bv7 3)))
(define-fun g0_7 () (_ BitVec 1) ((_ extract 3 3) (bvadd ((_ zero_extend 1) ((_ extract 24 22) m)) ((_ zero_extend 1) ((_ extract 24 22) n)))))
(define-fun p0_7 () (_ BitVec 1) (bvcomp (bvxor ((_ extract 24 22) m) ((_ extract 24 22) n)) (_ bv7 3)))
; joined in pairs
(define-fun g1_0 () (_ BitVec 1) (bvxor g0_1 (bvand p0_1 g0_0)))
(define-fun g1_1 () (_ BitVec 1) (bvxor g0_3 (bvand p0_3 g0_2)))
(define-fun p1_1 () (_ BitVec 1) (bvand p0_3 p0_2))
(define-fun g1_2 () (_ BitVec 1) (bvxor g0_5 (bvand p0_5 g0_4)))
(define-fun p1_2 () (_ BitVec 1) (bvand p0_5 p0_4))
(define-fun g1_3 () (_ BitVec 1) (bvxor g0_7 (bvand p0_7 g0_6)))
(define-fun p1_3 () (_ BitVec 1) (bvand p0_7 p0_6))
; joined in pairs
(define-fun g2_0 () (_ BitVec 1) (bvxor g1_1 (bvand p1_1 g1_0)))
(define-fun g2_1 () (_ BitVec 1) (bvxor g1_3 (bvand p1_3 g1_2)))
(define-fun p2_1 () (_ BitVec 1) (bvand p1_3 p1_2))
; joined in pairs
(define-fun g3_0 () (_ BitVec 1) (bvxor g2_1 (bvand p2_1 g2_0)))
(define-fun bit () (_ BitVec 1) (bvxor g3_0 ((_ extract 25 25) m) ((_ extract 25 25) n)))
; v less the low bits that are ignored, operand by operand
(define-fun ignored () (_ BitVec 64) (_ bv0 64))
(define-fun seen () (_ BitVec 64) (bvsub v ignored))
(assert (or (distinct bit ((_ extract 25 25) seen)) (bvugt ignored (_ bv0 64)) (and (bvuge ((_ extract 24 0) v) (_ bv0 25)) (distinct bit ((_ extract 25 25) v))) (and (bvuge ((_ extract 24 0) v) (_ bv0 25)) (bvsge v (_ bv18446744073675997184 64)) (bvslt v (_ bv33554432 64)) (distinct bit ((_ extract 63 63) v)))))
(check-sat)
